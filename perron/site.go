package perron

import (
	"regexp"
	"time"
)

// A Site is one recycling yard as it is configured. It is immutable once the
// configuration is loaded and may be shared between goroutines.
type Site struct {
	ID      string // as in topics and URLs, see [ValidID]
	Name    string // as residents say it, "Poort"
	Address string
	// Latitude and Longitude are WGS 84 degrees; both zero when not configured.
	Latitude, Longitude float64
	// Bays is the number of vehicles that can unload at once.
	Bays int
	// Lanes is the number of vehicles that can enter at once.
	Lanes int
	// TypicalDwell is the usual time on site in minutes: the first guess until
	// it is learned.
	TypicalDwell float64
	// RoadSpace is how many vehicles fit between the entrance and the public
	// road; 0 when unknown.
	RoadSpace  int
	Gates      []Gate
	QueueLoops []QueueLoop // by rising Distance
	// Gateways are the devices whose silence makes the site's state unknown.
	Gateways []string
	// StaleAfter is how long a state stays valid after the sensors last reported
	// everything; 0 is as long as elsewhere.
	StaleAfter time.Duration
	Hours      Hours
	// SchoolHolidays are those of the region, in any order; none when it is not
	// configured.
	SchoolHolidays []DateRange
	// Materials are what residents can bring, by language tag; may be empty.
	Materials map[string][]string
}

// A Gate is a place where vehicles enter, leave, or both.
type Gate struct {
	ID      string
	Name    string
	Sensors []string // the sensors whose passages count at this gate
}

// A QueueLoop is an inductive loop in the approach road that reports
// presences.
type QueueLoop struct {
	Sensor string
	// Distance is the position counted in vehicles: when the loop is occupied
	// for longer than a passing vehicle takes, at least Distance vehicles wait.
	Distance int
}

var idPattern = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$`)

// ValidID says whether s can name a site, gate, gateway or sensor: 1 to 32
// lower-case letters, digits and hyphens, neither first nor last a hyphen. Such a name is safe
// in a topic, a URL, a file name and a query.
func ValidID(s string) bool { return idPattern.MatchString(s) }

// GateOf names the gate that the sensor's passages count at.
func (s *Site) GateOf(sensor string) (gate string, ok bool) {
	for _, g := range s.Gates {
		for _, id := range g.Sensors {
			if id == sensor {
				return g.ID, true
			}
		}
	}
	return "", false
}

// QueueLoop finds the queue loop that the sensor is.
func (s *Site) QueueLoop(sensor string) (QueueLoop, bool) {
	for _, l := range s.QueueLoops {
		if l.Sensor == sensor {
			return l, true
		}
	}
	return QueueLoop{}, false
}

// HasGateway says whether the gateway belongs to the site.
func (s *Site) HasGateway(id string) bool {
	for _, g := range s.Gateways {
		if g == id {
			return true
		}
	}
	return false
}
