//go:build !linux

package programs

import "github.com/rogpeppe/go-internal/testscript"

// full needs a limit on another process.
func full(ts *testscript.TestScript, _ bool, _ []string) { ts.Fatalf("full: not on this system") }
