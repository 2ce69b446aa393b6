package forecast

// A Part of the model can be left out, to see what it is worth. Models have all
// parts; only [BacktestWithout] leaves one out.
type Part uint16

const (
	PartToday    Part = 1 << iota // the level of the newest slot, the last hours and today, and the same slot yesterday
	PartWeek                      // the level of the last day and the last week
	PartNear                      // the short memory, the neighbours of a slot and the mean over all kinds of day as regressors
	PartFit                       // coefficients from the data, in place of the plain numbers
	PartRidge                     // the pull towards the plain numbers
	PartRecency                   // that young days count for more, in the profile and in the fit
	PartPool                      // the mean over all kinds of day in the profile
	PartOutliers                  // that outliers are cut in the fit
	PartErrors                    // intervals from the model's own past errors, in place of a normal distribution
	PartClasses                   // that errors are sorted by the size of the mean and the time of day
	PartDays                      // that the pull grows with how much the errors of a day depend on each other
	PartTrust                     // that days unlike their kind count for less in the profile
)

// Parts are all parts, with what they are, in the order in which they are best
// read.
func Parts() []struct {
	Part Part
	Name string
} {
	type named = struct {
		Part Part
		Name string
	}
	return []named{
		{PartToday, "level of the last hours and today"},
		{PartWeek, "level of the last day and week"},
		{PartNear, "short memory, neighbours, other days"},
		{PartFit, "coefficients fitted to the past"},
		{PartRidge, "pull towards plain numbers"},
		{PartDays, "errors of a day depend on each other"},
		{PartRecency, "young days count for more"},
		{PartPool, "other weekdays in the profile"},
		{PartTrust, "unusual days count for less"},
		{PartOutliers, "outliers cut"},
		{PartErrors, "intervals from past errors"},
		{PartClasses, "errors by size and time of day"},
	}
}

// has says whether a part is among those of p.
func (p Part) has(q Part) bool { return p&q != 0 }
