package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/perrondrukte/perrondrukte/gateway/outbox"
	"github.com/perrondrukte/perrondrukte/perron"
)

// wear measures what the outbox writes for a passage that comes by itself and is
// acknowledged before the next, and what that is on a day of 2,000. /proc/self/io
// says what the program has the file system write; as root, a card is made of an
// image with ext4, whose block device also counts the journal.
func (b *bench) wear(ctx context.Context) error {
	const day, n = 2000, 500
	dir := filepath.Join(b.dir, "wear")
	card, unmount, err := makeCard(dir)
	if err != nil {
		return err
	}
	defer func() { _ = unmount() }() // of a directory that is thrown away
	box, err := outbox.Open(ctx, filepath.Join(dir, "outbox.db"), outbox.Options{
		Boot: "bench", Life: func() outbox.Life { return outbox.Life{Boot: "bench", Time: time.Now().UTC()} },
	})
	if err != nil {
		return err
	}
	running, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- box.Run(running) }()
	pass := func(from, n int) error {
		for i := range n {
			e := perron.Event{Time: time.Now().UTC(), Sensor: "main-in", Kind: perron.In}
			if (from+i)%2 == 1 {
				e.Sensor, e.Kind = "main-out", perron.Out
			}
			if err := box.Append(ctx, []perron.Event{e}, nil); err != nil {
				return err
			}
			if err := box.Flush(ctx); err != nil {
				return err
			}
			s := box.State()
			box.Ack(s.Epoch, s.Next-1)
		}
		return nil
	}
	if err := pass(0, n); err != nil { // so that the log has been round once
		return err
	}
	before, err := written(card)
	if err != nil {
		return err
	}
	if err := pass(n, n); err != nil {
		return err
	}
	if card != "" { // what ext4 would write some seconds later
		if err := exec.CommandContext(ctx, "sync", "-f", dir).Run(); err != nil {
			return fmt.Errorf("sync the card: %w", err)
		}
	}
	after, err := written(card)
	if err != nil {
		return err
	}
	size, err := box.FileSize()
	if err != nil {
		return err
	}
	stop()
	if err := errors.Join(<-ended, box.Close()); err != nil {
		return err
	}
	for i, what := range []string{"by the program (/proc/self/io)", "on the block device, ext4 with its journal"} {
		if i == 1 && card == "" {
			continue
		}
		one := float64(after[i]-before[i]) / n
		b.report("written to the card "+what, "reported", "%.1f kB a passage, %.0f MB on a day of %d", one/1e3, one*day/1e6, day)
	}
	b.report("outbox and its log after 1000 passages that were acknowledged", "reported", "%.0f kB", float64(size)/1e3)
	return nil
}

// written is how many bytes this process has had written, and the block device
// of the card has been given.
func written(card string) (n [2]int64, err error) {
	text, err := os.ReadFile("/proc/self/io")
	if err != nil {
		return n, err
	}
	for _, line := range strings.Split(string(text), "\n") {
		if v, ok := strings.CutPrefix(line, "write_bytes: "); ok {
			if n[0], err = strconv.ParseInt(v, 10, 64); err != nil {
				return n, err
			}
		}
	}
	if card == "" {
		return n, nil
	}
	text, err = os.ReadFile(filepath.Join("/sys/block", filepath.Base(card), "stat"))
	if err != nil {
		return n, err
	}
	const sectorsWritten, sector = 6, 512
	sectors, err := strconv.ParseInt(strings.Fields(string(text))[sectorsWritten], 10, 64)
	n[1] = sectors * sector
	return n, err
}

// makeCard mounts an image with ext4 at dir and returns its block device, "" if
// that is not allowed here; then dir is just a directory.
func makeCard(dir string) (device string, unmount func() error, err error) {
	nothing := func() error { return nil }
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", nothing, err
	}
	image := dir + ".img"
	for _, args := range [][]string{
		{"truncate", "--size=128M", image},
		{"mkfs.ext4", "-q", image},
		{"mount", "-o", "loop", image, dir},
	} {
		if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "no card is made, only the program's own writes are counted: %s: %s\n", args[0], strings.TrimSpace(string(out)))
			return "", nothing, nil
		}
	}
	out, err := exec.Command("findmnt", "--noheadings", "--output", "SOURCE", dir).Output()
	if err != nil {
		return "", nothing, fmt.Errorf("find the card's device: %w", err)
	}
	return strings.TrimSpace(string(out)), func() error { return exec.Command("umount", dir).Run() }, nil
}
