package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// shimMark in the environment makes this program a shim: it asks the kernel to
// report each sync of its thread, hands the reports over, and becomes the
// program that its arguments name.
const shimMark = "PERRONDRUKTE_FAULTS_SHIM=1"

// shim does what the mark says, and returns if there is none.
func shim() {
	if os.Getenv("PERRONDRUKTE_FAULTS_SHIM") != "1" {
		return
	}
	fmt.Fprintln(os.Stderr, "faults shim:", becomeTraced(os.Args[1:]))
	os.Exit(1)
}

func becomeTraced(args []string) error {
	// The filter holds for this thread and for what it becomes.
	runtime.LockOSThread()
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("give up privileges: %w", err)
	}
	const load, equal, ret = unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, unix.BPF_RET | unix.BPF_K
	filter := []unix.SockFilter{
		{Code: load, K: 0}, // the number of the system call; the program is of one architecture
		{Code: equal, K: unix.SYS_FSYNC, Jt: 1},
		{Code: equal, K: unix.SYS_FDATASYNC, Jf: 1},
		{Code: ret, K: unix.SECCOMP_RET_USER_NOTIF},
		{Code: ret, K: unix.SECCOMP_RET_ALLOW},
	}
	prog := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	// A signal must not repeat a sync that was reported already; Go sends itself many.
	flags := uintptr(unix.SECCOMP_FILTER_FLAG_NEW_LISTENER | unix.SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV)
	listener, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, flags, uintptr(unsafe.Pointer(&prog)))
	if errno != 0 {
		return fmt.Errorf("ask for reports: %w", errno)
	}
	const socket = 3
	if err := unix.Sendmsg(socket, []byte{0}, unix.UnixRights(int(listener)), nil, 0); err != nil {
		return fmt.Errorf("hand over the reports: %w", err)
	}
	_, _ = unix.Close(socket), unix.Close(int(listener)) // the program does not need them
	return syscall.Exec(args[0], args, os.Environ())
}

// dieWithUs has a process killed when this one ends. The signal comes when the
// thread that starts it ends, which no thread here does before the program.
func dieWithUs(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }

// canTrace says why syncs cannot be reported here; nil when they can.
func canTrace() error {
	path, err := exec.LookPath("true")
	if err != nil {
		return err
	}
	cmd := exec.Command(path)
	begin, err := traced(cmd, func(string) {})
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	return errors.Join(begin(), cmd.Wait())
}

// traced changes a command so that its syncs are reported to synced, before
// they take effect. The result is to be called once it has been started, and
// blocks until the reports are being taken.
func traced(cmd *exec.Cmd, synced func(path string)) (begin func() error, err error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	ours, theirs := os.NewFile(uintptr(pair[0]), "reports"), os.NewFile(uintptr(pair[1]), "reports")
	cmd.Args = append([]string{self, cmd.Path}, cmd.Args[1:]...)
	cmd.Path = self
	cmd.Env = append(os.Environ(), shimMark)
	cmd.ExtraFiles = []*os.File{theirs}
	return func() error {
		defer ours.Close()
		_ = theirs.Close()
		conn, err := net.FileConn(ours)
		if err != nil {
			return err
		}
		defer conn.Close()
		if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
			return err
		}
		oob := make([]byte, unix.CmsgSpace(4))
		_, n, _, _, err := conn.(*net.UnixConn).ReadMsgUnix(make([]byte, 1), oob)
		if err != nil {
			return fmt.Errorf("the shim does not report: %w", err)
		}
		messages, err := unix.ParseSocketControlMessage(oob[:n])
		if err != nil || len(messages) != 1 {
			return errors.Join(errors.New("the shim sends no reports"), err)
		}
		fds, err := unix.ParseUnixRights(&messages[0])
		if err != nil || len(fds) != 1 {
			return errors.Join(errors.New("the shim sends no reports"), err)
		}
		go reports(fds[0], synced)
		return nil
	}, nil
}

// reports takes reports until the process is gone.
func reports(listener int, synced func(path string)) {
	defer unix.Close(listener)
	for {
		poll := []unix.PollFd{{Fd: int32(listener), Events: unix.POLLIN}}
		if _, err := unix.Poll(poll, -1); err != nil && !errors.Is(err, unix.EINTR) {
			return
		}
		if poll[0].Revents&unix.POLLIN == 0 {
			if poll[0].Revents != 0 { // POLLHUP: nobody is left
				return
			}
			continue
		}
		var report [80]byte // struct seccomp_notif
		if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(listener), unix.SECCOMP_IOCTL_NOTIF_RECV, uintptr(unsafe.Pointer(&report))); errno != 0 {
			continue // it was killed meanwhile
		}
		thread := binary.NativeEndian.Uint32(report[8:])
		fd := binary.NativeEndian.Uint64(report[32:]) // first argument
		if path, err := os.Readlink("/proc/" + strconv.Itoa(int(thread)) + "/fd/" + strconv.Itoa(int(fd))); err == nil {
			synced(path)
		}
		var answer [24]byte // struct seccomp_notif_resp
		copy(answer[:], report[:8])
		binary.NativeEndian.PutUint32(answer[20:], unix.SECCOMP_USER_NOTIF_FLAG_CONTINUE)
		// It fails when the process was killed meanwhile.
		_, _, _ = unix.Syscall(unix.SYS_IOCTL, uintptr(listener), unix.SECCOMP_IOCTL_NOTIF_SEND, uintptr(unsafe.Pointer(&answer)))
	}
}
