package config

import (
	"fmt"
	"strings"
	"testing"
)

// Every site has one collector, whoever asks, and one more collector moves
// sites to itself only.
func TestCollectorsServes(t *testing.T) {
	of := func(site string, n int) int {
		found := -1
		for i := range n {
			if (&Collectors{Index: i, Of: n}).Serves(site) {
				if found >= 0 {
					t.Fatalf("%s is served by %d and %d of %d", site, found, i, n)
				}
				found = i
			}
		}
		if found < 0 {
			t.Fatalf("%s is served by none of %d", site, n)
		}
		return found
	}
	const sites = 600
	shares := make([]int, 4)
	for i := range sites {
		site := fmt.Sprintf("site-%d", i)
		before, after := of(site, 3), of(site, 4)
		if after != before && after != 3 {
			t.Errorf("%s moved from %d to %d", site, before, after)
		}
		shares[after]++
	}
	for i, n := range shares {
		if n < sites/4*2/3 || n > sites/4*4/3 {
			t.Errorf("collector %d has %d of %d sites", i, n, sites)
		}
	}
	// Two versions of the program must agree, so the outcome is part of its promise.
	if got := fmt.Sprint(of("poort", 3), of("buiten", 3), of("haven", 3)); got != "1 0 2" {
		t.Errorf("poort, buiten and haven are at %s", got)
	}
	if !(*Collectors)(nil).Serves("poort") {
		t.Error("a collector by itself does not serve every site")
	}
}

func TestCollectorsInText(t *testing.T) {
	if c, err := ParseCollectors("1/3"); err != nil || *c != (Collectors{1, 3}) {
		t.Errorf("1/3: %+v, %v", c, err)
	}
	for _, bad := range []string{"", "1", "a/3", "1/", "1/3/4"} {
		if c, err := ParseCollectors(bad); err == nil {
			t.Errorf("%q is read as %+v", bad, c)
		}
	}
	s := Almere()
	s.Collectors = &Collectors{Index: 3, Of: 3}
	if err := s.Validate(); err == nil || !strings.Contains(err.Error(), "collectors.index: 3: want less than of, which is 3") {
		t.Errorf("index 3 of 3: %v", err)
	}
}
