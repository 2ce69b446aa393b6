package forecast

// leads are the distances in days, target from origin, for which a profile is
// kept; a lead between two uses the later.
var leads = []int{0, 1, 2, 4, 7}

func leadIndex(days int) int {
	for i, l := range leads {
		if days <= l {
			return i
		}
	}
	return len(leads) - 1
}

// profiles are those of each day as they were known some days before it, so that
// errors of the past are honest ones.
type profiles struct {
	s    *series
	near [][]profile         // near[lead][day], by leads
	far  map[[2]int]*profile // by day and lead, further ahead than leads go
}

func newProfiles(s *series) *profiles {
	p := &profiles{s: s, near: make([][]profile, len(leads)), far: map[[2]int]*profile{}}
	for i := range leads {
		p.near[i] = make([]profile, s.days)
	}
	return p
}

// of is the profile of a day as it was known lead days ahead.
func (p *profiles) of(day, lead int) *profile {
	i := leadIndex(lead)
	if lead > leads[i] {
		// Further ahead than leads go: what is known has a profile of its own.
		key := [2]int{day, lead}
		far := p.far[key]
		if far == nil {
			v := p.s.profile(p.s.kind[day], day-1-lead)
			far = &v
			p.far[key] = far
		}
		return far
	}
	near := &p.near[i][day]
	if near.long == nil {
		*near = p.s.profile(p.s.kind[day], day-1-leads[i])
	}
	return near
}
