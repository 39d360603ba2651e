//go:build !unix

package ledger

import (
	"os"

	"github.com/cocoon-go/cocoon/attestation/fault"
)

// lockFile fails: two processes on one log are not safe, and this platform has
// no lock that we use.
func lockFile(*os.File) error {
	return fault.BadInput("a ledger needs a Unix system to lock its data directory")
}
