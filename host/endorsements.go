package host

import (
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/cocoon-go/cocoon/internal/endorse"
)

// endorsementsAge is for how long what was read last is served before it is read
// anew. Vendors renew some of it every day.
const endorsementsAge = time.Minute

// endorsements is the node's set, encoded. It is read anew as time goes on; what
// can't be read leaves the last good set in place. Safe for concurrent use.
type endorsements struct {
	read func() ([]endorse.File, error) // nil: never anew
	log  *slog.Logger
	now  func() time.Time

	mu   sync.Mutex
	set  []byte
	at   time.Time
	last string // what was logged
}

// newEndorsements takes the first set, which has to be good.
func newEndorsements(files []endorse.File, read func() ([]endorse.File, error), log *slog.Logger) (*endorsements, error) {
	set, err := endorse.Encode(files)
	if err != nil {
		return nil, err
	}
	return &endorsements{read: read, log: log, now: time.Now, set: set, at: time.Now()}, nil
}

// encoded returns the set as it is now.
func (e *endorsements) encoded() []byte {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.read == nil || e.now().Sub(e.at) < endorsementsAge {
		return e.set
	}
	e.at = e.now()
	files, err := e.read()
	var set []byte
	if err == nil {
		set, err = endorse.Encode(files)
	}
	if err != nil {
		if text := err.Error(); text != e.last { // not every minute
			e.last = text
			e.log.Warn("the endorsements can't be read; those of before are served on", "err", err)
		}
		return e.set
	}
	e.set, e.last = set, ""
	return e.set
}

func (e *endorsements) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", endorse.MediaType)
	_, _ = w.Write(e.encoded())
}
