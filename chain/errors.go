package chain

import (
	"errors"
	"fmt"

	"github.com/cocoon-go/cocoon/attestation"
)

// LyingServerError says that a liteserver gave an answer whose proof does not
// verify. It proves something about the server and nothing about the chain, so
// calls that fail because of it belong to the family "could not find out"
// ([attestation.UnknownError]); errors.As finds it there.
type LyingServerError struct {
	Server string // address and key of the server
	What   string // what was asked
	Err    error  // what does not hold
}

func (e *LyingServerError) Error() string {
	return fmt.Sprintf("liteserver %s lies about %s: %v", e.Server, e.What, e.Err)
}

func (e *LyingServerError) Unwrap() error { return e.Err }

// ForkError says that two liteservers proved different blocks for one place in
// the masterchain: more than two thirds of the validators signed both. It is
// wrapped in an [attestation.ChainError].
type ForkError struct {
	Servers [2]string
	Blocks  [2]BlockID
}

func (e *ForkError) Error() string {
	return fmt.Sprintf("liteservers %s and %s prove different masterchain blocks: %s and %s", e.Servers[0], e.Servers[1], e.Blocks[0], e.Blocks[1])
}

// saidError is an error that a liteserver reports. Its text is the server's own
// and proves nothing: it is quoted, so that it can't write to a terminal, and cut.
type saidError struct {
	server string
	code   int32
	text   string
}

// maxSaid is how much of a server's text, in bytes, is shown.
const maxSaid = 300

func (e *saidError) Error() string {
	return fmt.Sprintf("liteserver %s answers with error %d: %.*q", e.server, e.code, maxSaid, e.text)
}

// unreachable joins why no server gave a good answer.
func unreachable(what string, errs []error) error {
	if len(errs) == 0 {
		return attestation.Unknown("%s: no liteserver", what)
	}
	return attestation.Unknown("%s: %w", what, errors.Join(errs...))
}
