package influxtest_test

import (
	"strings"
	"testing"

	"github.com/perrondrukte/perrondrukte/store/influx/influxtest"
)

func TestServerComesBackWithItsData(t *testing.T) {
	s := influxtest.Start(t)
	bucket, url := s.Bucket(), s.URL
	s.Kill()
	s.Restart()
	if s.URL != url {
		t.Errorf("at %s, was at %s", s.URL, url)
	}
	if got := s.Query("SHOW DATABASES"); !strings.Contains(got, bucket) {
		t.Errorf("%s is gone: %s", bucket, got)
	}
}
