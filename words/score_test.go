package words

import (
	"strings"
	"testing"

	"github.com/perrondrukte/perrondrukte/perron"
)

func TestScoreSentence(t *testing.T) {
	score := func(days, n, idle int, coverage, mae float64) *perron.Score {
		return &perron.Score{Days: days, Horizons: []perron.HorizonScore{
			{UpTo: 60, Wait: perron.Accuracy{N: n / 2, Coverage: coverage - 0.1, MAE: mae - 1}, Idle: idle},
			{Over: 60, UpTo: 180, Wait: perron.Accuracy{N: n / 2, Coverage: coverage + 0.1, MAE: mae + 1}},
			{Over: 180, UpTo: 360, Wait: perron.Accuracy{N: 5000, Coverage: 0.1, MAE: 40}},
		}}
	}
	for _, c := range []struct {
		name  string
		score *perron.Score
		want  string
	}{
		{"none yet", nil, "not forecast here for long enough"},
		{"a few days", score(3, 400, 0, 0.8, 3), "not forecast here for long enough"},
		{"hardly any pairs", score(20, 10, 30, 0.8, 3), "not forecast here for long enough"},
		{"nobody ever waits", score(28, 10, 4000, 0.8, 3), "hardly ever a wait"},
		{"few waits", score(28, 40, 800, 0.8, 3), "too few waits"},
		{"usual", score(28, 400, 3000, 0.8, 3), "8 times out of 10 within the range"},
		{"usual, minutes", score(28, 400, 3000, 0.8, 3), "3 minutes off"},
		{"nearly always", score(28, 400, 3000, 0.89, 1.2), "9 times out of 10"},
		{"never exactly", score(28, 400, 3000, 0.89, 0.2), "1 minute off"},
		{"bad", score(28, 400, 3000, 0.31, 18), "3 times out of 10"},
	} {
		if got := in(t, "en").Score(c.score); !strings.Contains(got, c.want) {
			t.Errorf("%s: %q, want %q in it", c.name, got, c.want)
		}
	}
	if got := in(t, "nl").Score(score(28, 400, 3000, 0.8, 3)); !strings.Contains(got, "8 van de 10 keer") {
		t.Errorf("Dutch: %q", got)
	}
}
