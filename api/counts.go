package api

import (
	"bufio"
	"context"
	"encoding/csv"
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/perrondrukte/perrondrukte/api/openapi"
	"github.com/perrondrukte/perrondrukte/perron"
	"github.com/perrondrukte/perrondrukte/store"
)

// maxRows is how many intervals times gates may be asked for at once: more
// than a year of quarter hours.
const maxRows = 40_000

// everyGate asks for a row for each gate. It can be no gate's ID.
const everyGate = "*"

// GetCounts implements openapi.StrictServerInterface.
func (h handlers) GetCounts(ctx context.Context, r openapi.GetCountsRequestObject) (openapi.GetCountsResponseObject, error) {
	site, err := h.site(r.Id)
	if err != nil {
		return nil, err
	}
	p := r.Params
	step := perron.Hour
	if p.Interval != nil {
		if step, err = perron.ParseStep(*p.Interval); err != nil {
			return nil, invalid("interval", *p.Interval, "%s", err)
		}
	}
	from, to, err := period(p.From, p.To, h.now(), 7*24*time.Hour)
	if err != nil {
		return nil, err
	}
	q := store.CountQuery{Site: site.ID, From: from, To: to, Step: step}
	gate, series := "", 1
	if p.Gate != nil && *p.Gate != "" {
		gate = *p.Gate
	}
	switch {
	case gate == everyGate:
		q.ByGate, series = true, max(1, len(site.Gates))
	case gate != "":
		if !slices.ContainsFunc(site.Gates, func(g perron.Gate) bool { return g.ID == gate }) {
			return nil, invalid("gate", gate, "%s has no gate %q", site.ID, clip(gate))
		}
		q.Gate = gate
	}
	if n := intervals(from, to, step) * series; n > maxRows {
		return nil, invalid("from", deref(p.From), "%d rows of %s from %s to %s are more than %d: ask for less time or a longer interval",
			n, step, from.Format(time.RFC3339), to.Format(time.RFC3339), maxRows)
	}
	asCSV, err := wantsCSV(ctx, p.Format)
	if err != nil {
		return nil, err
	}

	work, done, err := h.history.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	counts, err := h.store.Counts(work, q)
	if err != nil {
		return nil, fmt.Errorf("counts: %w", err)
	}
	if asCSV {
		return countsCSV{site: site.ID, step: step, from: from, counts: counts}, aboutAnswer(ctx, keepCounts, nil)
	}
	return openapi.GetCounts200JSONResponse{
		Site: site.ID, From: from, To: to, Interval: step, Gate: gate, Counts: orEmpty(counts),
	}, aboutAnswer(ctx, keepCounts, nil)
}

// intervals is about how many intervals fit between two times.
func intervals(from, to time.Time, step perron.Step) int {
	length := map[perron.Step]time.Duration{
		perron.Quarter: 15 * time.Minute, perron.Hour: time.Hour,
		perron.Day: 24 * time.Hour, perron.Week: 7 * 24 * time.Hour,
	}[step]
	return int((to.Sub(from) + length - 1) / length)
}

func deref(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// wantsCSV settles the media type: format wins, then Accept, then JSON.
func wantsCSV(ctx context.Context, format *string) (bool, error) {
	switch f := deref(format); f {
	case "json":
		return false, nil
	case "csv":
		return true, nil
	case "":
	default:
		return false, invalid("format", f, "%q is not json or csv", clip(f))
	}
	accept := answerOf(ctx).accept
	if accept == "" {
		return false, nil
	}
	asJSON := weight(accept, "application/json")
	asCSV := weight(accept, "text/csv")
	if asJSON == 0 && asCSV == 0 {
		return false, &failure{
			status: http.StatusNotAcceptable, parameter: "Accept", value: clip(accept),
			detail: "there is application/json and text/csv",
		}
	}
	return asCSV > asJSON, nil
}

// weight is the quality that an Accept header gives to a media type: that of
// its most particular range (RFC 9110, section 12.5.1).
func weight(accept, mediaType string) float64 {
	main, _, _ := strings.Cut(mediaType, "/")
	best, q := -1, 0.0
	for part := range strings.SplitSeq(accept, ",") {
		name, params, err := mime.ParseMediaType(part)
		if err != nil {
			continue
		}
		rank := slices.Index([]string{"*/*", main + "/*", mediaType}, name)
		if rank <= best {
			continue
		}
		best, q = rank, 1
		if s, ok := params["q"]; ok {
			if q, err = strconv.ParseFloat(s, 64); err != nil || !(q >= 0 && q <= 1) {
				q = 0
			}
		}
	}
	return q
}

// countsCSV writes counts as RFC 4180 with the time on the clock and in UTC.
type countsCSV struct {
	site   string
	step   perron.Step
	from   time.Time
	counts []perron.Count
}

// VisitGetCountsResponse implements openapi.GetCountsResponseObject.
func (c countsCSV) VisitGetCountsResponse(w http.ResponseWriter) error {
	w.Header().Set("Content-Type", "text/csv; charset=utf-8")
	w.Header().Set("Content-Disposition", fmt.Sprintf(`attachment; filename="%s-counts-%s-%s.csv"`, c.site, c.step, perron.DateOf(c.from)))
	w.WriteHeader(http.StatusOK)
	// It can only fail because the client is gone, and the answer has begun.
	_ = c.write(w)
	return nil
}

func (c countsCSV) write(w io.Writer) error {
	buf := bufio.NewWriterSize(w, 32<<10)
	out := csv.NewWriter(buf)
	// The writer keeps its first error for Error.
	_ = out.Write([]string{"site", "gate", "start_local", "start_utc", "interval", "in", "out"})
	for _, n := range c.counts {
		_ = out.Write([]string{
			c.site, n.Gate, n.Start.In(perron.Amsterdam).Format(time.RFC3339), n.Start.UTC().Format(time.RFC3339),
			string(c.step), strconv.Itoa(n.In), strconv.Itoa(n.Out),
		})
	}
	out.Flush()
	if err := out.Error(); err != nil {
		return err
	}
	return buf.Flush()
}
