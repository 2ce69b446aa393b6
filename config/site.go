package config

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/perrondrukte/perrondrukte/perron"
)

// A Site is one recycling yard.
type Site struct {
	// Name in topics and web addresses; it cannot change later without losing
	// the history.
	ID ID `yaml:"id" jsonschema:"required" want:"want a short name like poort"`
	// Name as residents say it.
	Name string `yaml:"name" jsonschema:"required" want:"want the name that residents know"`
	// Street and number.
	Address string `yaml:"address"`
	// Where it is, for the route link.
	Location *Location `yaml:"location"`
	// Number of vehicles that can unload at once.
	Bays int `yaml:"bays" jsonschema:"required,minimum=1,maximum=1000" want:"want how many vehicles can unload at once"`
	// Number of vehicles that can enter at once.
	Lanes int `yaml:"lanes" jsonschema:"minimum=1,maximum=20"`
	// Usual time on the yard: the first guess until it is learned.
	Dwell Duration `yaml:"dwell" bounds:"1m,4h"`
	// How many vehicles fit between the entrance and the public road; 0 when
	// unknown.
	RoadSpace int `yaml:"road_space" jsonschema:"minimum=0,maximum=1000"`
	// Ids of the gateways; while one of them is silent, the state is unknown.
	Gateways []ID `yaml:"gateways"`
	// Devices that say how much they have counted instead of sending each
	// passage.
	Counters []Counters `yaml:"counters"`
	// How long a measurement stays fresh at this site, where its devices say
	// something less often than elsewhere.
	StaleAfter Duration `yaml:"stale_after"`
	// Places where vehicles enter, leave, or both.
	Gates []Gate `yaml:"gates" jsonschema:"required,minItems=1" want:"want at least one gate with its sensors"`
	// Inductive loops in the approach road.
	QueueLoops []QueueLoop `yaml:"queue_loops"`
	// Opening hours, in Dutch time.
	Hours Hours `yaml:"hours"`
	// Region of the school holidays, as a help for the forecast; none when absent.
	SchoolRegion SchoolRegion `yaml:"school_region"`
	// School holidays that the built-in table does not have, both days included,
	// like 2029-10-13/2029-10-21.
	SchoolHolidays []DateRange `yaml:"school_holidays"`
	// What residents can bring, a list a language.
	Materials map[Language][]string `yaml:"materials"`
}

func (s *Site) setDefaults() {
	s.Lanes = 1
	s.Dwell = Duration(14 * time.Minute)
}

// Location is a place on earth.
type Location struct {
	// Latitude in degrees, WGS 84.
	Lat float64 `yaml:"lat" jsonschema:"required,minimum=-90,maximum=90" want:"want the latitude in degrees, like 52.35"`
	// Longitude in degrees, WGS 84.
	Lon float64 `yaml:"lon" jsonschema:"required,minimum=-180,maximum=180" want:"want the longitude in degrees, like 5.16"`
}

// A Gate is a place where vehicles enter, leave, or both.
type Gate struct {
	// Name in the API.
	ID ID `yaml:"id" jsonschema:"required" want:"want a short name like in"`
	// Name as staff say it.
	Name string `yaml:"name"`
	// Ids of the sensors whose passages count here.
	Sensors []ID `yaml:"sensors" jsonschema:"required,minItems=1" want:"want the id of at least one sensor"`
}

// A QueueLoop is an inductive loop in the approach road.
type QueueLoop struct {
	// Id of the presence sensor.
	Sensor ID `yaml:"sensor" jsonschema:"required" want:"want the id of a presence sensor"`
	// How many vehicles wait, at least, while the loop is occupied.
	Distance int `yaml:"distance" jsonschema:"required,minimum=1,maximum=1000" want:"want the position of the loop, counted in vehicles"`
}

// Hours are opening hours. An exception for a date beats a holiday, a holiday
// beats the weekday.
type Hours struct {
	// Hours of an ordinary week; a day that is absent is closed.
	Weekly Weekly `yaml:"weekly"`
	// Hours on Dutch holidays. The site is closed on those that are absent,
	// but for Good Friday, which is an ordinary Friday.
	Holidays map[Holiday][]Span `yaml:"holidays"`
	// Single days with hours of their own.
	Exceptions []Exception `yaml:"exceptions"`
}

// Weekly are the hours of an ordinary week.
type Weekly struct {
	Monday    []Span `yaml:"monday"`
	Tuesday   []Span `yaml:"tuesday"`
	Wednesday []Span `yaml:"wednesday"`
	Thursday  []Span `yaml:"thursday"`
	Friday    []Span `yaml:"friday"`
	Saturday  []Span `yaml:"saturday"`
	Sunday    []Span `yaml:"sunday"`
}

func (w *Weekly) days() [7][]Span {
	return [7][]Span{w.Sunday, w.Monday, w.Tuesday, w.Wednesday, w.Thursday, w.Friday, w.Saturday}
}

// An Exception is a day with hours of its own.
type Exception struct {
	// The day.
	Date Date `yaml:"date" jsonschema:"required" want:"want a date like 2026-12-24"`
	// Its hours; [] is closed all day.
	Hours []Span `yaml:"hours" jsonschema:"required"`
	// Why, a text a language; shown to residents.
	Reason map[Language]string `yaml:"reason"`
}

// reservedSite begins the user names of the server's own processes at the
// broker, where a gateway's begins with its site.
const reservedSite = "service"

func (s *Site) check(c *checker, at string) {
	if s.ID == reservedSite {
		c.fault(at+".id", "%s is reserved: want another name", quote(reservedSite))
	}
	gateways := map[ID]bool{}
	for i, g := range s.Gateways {
		if gateways[g] {
			c.fault(fmt.Sprintf("%s.gateways[%d]", at, i), "%s is given twice", quote(string(g)))
		}
		gateways[g] = true
	}
	if len(s.Gateways)+len(s.Counters) == 0 {
		c.fault(at+".gateways", "is missing: want the id of at least one gateway, or counters")
	}
	s.checkCounters(c, at, gateways)
	used := map[ID]string{} // sensor → where it is used
	use := func(path string, sensor ID) {
		if sensor == "" {
			return
		}
		if first, twice := used[sensor]; twice {
			c.fault(path, "%s is in %s already: a passage counts at one place only", quote(string(sensor)), first)
			return
		}
		used[sensor] = path
	}
	gates := map[ID]bool{}
	for i, g := range s.Gates {
		gate := fmt.Sprintf("%s.gates[%d]", at, i)
		if gates[g.ID] && g.ID != "" {
			c.fault(gate+".id", "%s is given twice: want an id of its own", quote(string(g.ID)))
		}
		gates[g.ID] = true
		for j, sensor := range g.Sensors {
			use(fmt.Sprintf("%s.sensors[%d]", gate, j), sensor)
		}
	}
	distances := map[int]bool{}
	for i, l := range s.QueueLoops {
		loop := fmt.Sprintf("%s.queue_loops[%d]", at, i)
		use(loop+".sensor", l.Sensor)
		if distances[l.Distance] && l.Distance > 0 {
			c.fault(loop+".distance", "%d is the distance of another loop: want one of its own", l.Distance)
		}
		distances[l.Distance] = true
	}
	s.Hours.check(c, at+".hours")
	for _, lang := range slices.Sorted(maps.Keys(s.Materials)) {
		for i, text := range s.Materials[lang] {
			if text == "" {
				c.fault(fmt.Sprintf("%s.materials.%s[%d]", at, lang, i), "is empty: want a text")
			}
		}
	}
}

var dayNames = [7]string{"sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"}

func (h *Hours) check(c *checker, at string) {
	for day, spans := range h.Weekly.days() {
		checkSpans(c, fmt.Sprintf("%s.weekly.%s", at, dayNames[day]), spans)
	}
	for _, name := range slices.Sorted(maps.Keys(h.Holidays)) {
		checkSpans(c, fmt.Sprintf("%s.holidays.%s", at, name), h.Holidays[name])
	}
	seen := map[Date]bool{}
	for i, e := range h.Exceptions {
		path := fmt.Sprintf("%s.exceptions[%d]", at, i)
		if seen[e.Date] && e.Date != (Date{}) {
			c.fault(path+".date", "%s is given twice: want one exception a day", e.Date)
		}
		seen[e.Date] = true
		if e.Hours == nil {
			c.fault(path+".hours", "is missing: want the hours of that day, or [] for closed")
		}
		checkSpans(c, path+".hours", e.Hours)
	}
}

// checkSpans finds spans of one day that overlap.
func checkSpans(c *checker, at string, spans []Span) {
	for i, s := range spans {
		for _, other := range spans[:i] {
			if s.Open < other.Close && other.Open < s.Close {
				c.fault(fmt.Sprintf("%s[%d]", at, i), "%q overlaps %q: want hours that follow each other", s, other)
			}
		}
	}
}

// Perron is the site as the flow knows it.
func (s *Site) Perron() *perron.Site {
	p := &perron.Site{
		ID:           string(s.ID),
		Name:         s.Name,
		Address:      s.Address,
		Bays:         s.Bays,
		Lanes:        s.Lanes,
		TypicalDwell: s.Dwell.D().Minutes(),
		RoadSpace:    s.RoadSpace,
		Gateways:     texts(s.Gateways),
		StaleAfter:   s.StaleAfter.D(),
		Hours:        s.Hours.Perron(),
	}
	for i := range s.Counters {
		p.Gateways = append(p.Gateways, string(s.Counters[i].ID))
	}
	if s.SchoolRegion != "" {
		p.SchoolHolidays = perron.SchoolHolidays(perron.SchoolRegion(s.SchoolRegion))
	}
	for _, h := range s.SchoolHolidays {
		p.SchoolHolidays = append(p.SchoolHolidays, perron.DateRange(h))
	}
	if s.Location != nil {
		p.Latitude, p.Longitude = s.Location.Lat, s.Location.Lon
	}
	for _, g := range s.Gates {
		name := g.Name
		if name == "" {
			name = string(g.ID)
		}
		p.Gates = append(p.Gates, perron.Gate{ID: string(g.ID), Name: name, Sensors: texts(g.Sensors)})
	}
	for _, l := range s.QueueLoops {
		p.QueueLoops = append(p.QueueLoops, perron.QueueLoop{Sensor: string(l.Sensor), Distance: l.Distance})
	}
	slices.SortFunc(p.QueueLoops, func(a, b perron.QueueLoop) int { return cmp.Compare(a.Distance, b.Distance) })
	if len(s.Materials) > 0 {
		p.Materials = make(map[string][]string, len(s.Materials))
		for lang, list := range s.Materials {
			p.Materials[string(lang)] = slices.Clone(list)
		}
	}
	return p
}

// Perron are the hours as the flow knows them.
func (h *Hours) Perron() perron.Hours {
	p := perron.Hours{
		Holidays:   make(map[perron.Holiday][]perron.Span, len(h.Holidays)),
		Exceptions: make(map[perron.Date]perron.Exception, len(h.Exceptions)),
	}
	for day, list := range h.Weekly.days() {
		p.Weekly[day] = spans(list)
	}
	for name, list := range h.Holidays {
		p.Holidays[perron.Holiday(name)] = spans(list)
	}
	for _, e := range h.Exceptions {
		x := perron.Exception{Spans: spans(e.Hours)}
		if len(e.Reason) > 0 {
			x.Reason = make(map[string]string, len(e.Reason))
			for lang, text := range e.Reason {
				x.Reason[string(lang)] = text
			}
		}
		p.Exceptions[perron.Date(e.Date)] = x
	}
	return p
}

func spans(list []Span) []perron.Span {
	out := make([]perron.Span, len(list))
	for i, s := range list {
		out[i] = perron.Span(s)
	}
	slices.SortFunc(out, func(a, b perron.Span) int { return cmp.Compare(a.Open, b.Open) })
	return out
}

func texts[T ~string](list []T) []string {
	out := make([]string, len(list))
	for i, t := range list {
		out[i] = string(t)
	}
	return out
}
