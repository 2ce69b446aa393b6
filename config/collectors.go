package config

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
)

// Collectors share the sites between several processes with the role
// collector, each of which has the same file but for index.
type Collectors struct {
	// Which of the collectors this process is, from 0.
	Index int `yaml:"index" jsonschema:"required,minimum=0,maximum=63"`
	// How many collectors there are.
	Of int `yaml:"of" jsonschema:"required,minimum=1,maximum=64" want:"want how many collectors share the sites"`
}

// ParseCollectors reads INDEX/OF, like 0/3.
func ParseCollectors(text string) (*Collectors, error) {
	index, of, ok := strings.Cut(text, "/")
	i, err1 := strconv.Atoi(index)
	n, err2 := strconv.Atoi(of)
	if !ok || err1 != nil || err2 != nil {
		return nil, fmt.Errorf("%s: want which collector of how many, counted from 0, like 0/3", quote(text))
	}
	return &Collectors{Index: i, Of: n}, nil
}

func (c *Collectors) check(f *checker, at string) {
	if c != nil && c.Of > 0 && c.Index >= c.Of {
		f.fault(at+".index", "%d: want less than of, which is %d", c.Index, c.Of)
	}
}

// Serves says whether the site is for this process. Each site has one
// collector, the one with the highest hash of site and index (rendezvous
// hashing, Thaler and Ravishankar 1998), so that one more collector takes
// sites over from the others and moves none between them. Without c there is
// one collector, which serves all.
func (c *Collectors) Serves(site string) bool {
	if c == nil {
		return true
	}
	best, highest := 0, uint64(0)
	for i := range c.Of {
		sum := sha256.Sum256(fmt.Appendf(nil, "%s/%d", site, i))
		if h := binary.BigEndian.Uint64(sum[:]); h > highest {
			best, highest = i, h
		}
	}
	return best == c.Index
}
