package host

import (
	"bytes"
	"errors"
	"log/slog"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/cocoon-go/cocoon/internal/endorse"
)

// TestEndorsementsRenewed: what the operator puts into the directory is served
// without a restart, and a bad directory takes nothing away.
func TestEndorsementsRenewed(t *testing.T) {
	pem := []byte("-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n")
	first, second := []endorse.File{{Name: "a.pem", Data: pem}}, []endorse.File{{Name: "a.pem", Data: pem}, {Name: "b.pem", Data: append(pem, '\n')}}
	var logged bytes.Buffer
	var next []endorse.File
	var fails error
	reads := 0
	e, err := newEndorsements(first, func() ([]endorse.File, error) { reads++; return next, fails }, slog.New(slog.NewTextHandler(&logged, nil)))
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	e.now = func() time.Time { return now }
	serves := func(want []endorse.File) {
		t.Helper()
		w := httptest.NewRecorder()
		e.ServeHTTP(w, nil)
		set, err := endorse.Encode(want)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(w.Body.Bytes(), set) || w.Header().Get("Content-Type") != endorse.MediaType {
			t.Errorf("serves %d bytes, want %d", w.Body.Len(), len(set))
		}
	}
	next = second
	serves(first) // too early to look again
	now = now.Add(endorsementsAge)
	serves(second)
	serves(second)
	if reads != 1 {
		t.Errorf("read %d times", reads)
	}
	fails, next = errors.New("no such directory"), nil
	for range 3 {
		now = now.Add(endorsementsAge)
		serves(second)
	}
	if n := bytes.Count(logged.Bytes(), []byte("no such directory")); n != 1 {
		t.Errorf("logged %d times", n)
	}
	fails, next = nil, first
	now = now.Add(endorsementsAge)
	serves(first)
	if _, err := newEndorsements([]endorse.File{{Name: "", Data: pem}}, nil, nil); err == nil {
		t.Error("a first set that is none is taken")
	}
}
