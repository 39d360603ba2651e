package main

import (
	"os/exec"
	"syscall"
)

// endWithParent lets the process end also when this one is killed and can't end
// it.
func endWithParent(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
}
