package enclave

import "time"

// Waits bounds how long a peer may take to send a request, or to take its
// answer. Zero fields have defaults.
type Waits struct {
	Header time.Duration // for an HTTP header; default 10 s
	Idle   time.Duration // for one piece of a sealed request or of an answer; default 30 s
	Total  time.Duration // for a whole sealed request; default 3 minutes
}

func (w *Waits) defaults() {
	for _, d := range []struct {
		to       *time.Duration
		fallback time.Duration
	}{{&w.Header, 10 * time.Second}, {&w.Idle, 30 * time.Second}, {&w.Total, 3 * time.Minute}} {
		if *d.to <= 0 {
			*d.to = d.fallback
		}
	}
}
