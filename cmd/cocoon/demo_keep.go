package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// What the demo checked, and what nobody checks in it.
var (
	demoChecked = []string{
		"the quote's signatures up to the (simulated) vendor root",
		"revocation, TCB level, debug off, code and configuration",
		"claims = what the chain registered, with proofs",
		"prompt sealed to a key in verified claims (post-quantum)",
		"receipt in the log, log anchored on the chain, replayed",
	}
	demoNotChecked = []string{
		"real hardware: the platform is simulated",
		"a GPU: the demo's engine runs on the CPU",
		"side channels, availability",
		"that the model is any good",
		"who runs the node",
	}
)

func (d *demoRun) summary(took time.Duration) {
	fmt.Fprintf(d.out, "\n    %-62s %s\n", "checked", "not checked here")
	for i := range demoChecked {
		fmt.Fprintf(d.out, "    %-62s %s\n", demoChecked[i], demoNotChecked[i])
	}
	fmt.Fprintf(d.out, "\n    Done in %.1f s. Everything is in %s/; try\n      %s\n", took.Seconds(), filepath.Clean(d.dir),
		d.shell("cocoon", "verify", "receipt", filepath.Join(d.dir, "2.proof")))
}

// report is the demo's result for machines.
func (d *demoRun) report() map[string]any {
	return map[string]any{
		"simulated": true, "dir": d.dir, "seconds": time.Since(d.start).Seconds(), "steps": d.steps,
		"checked": demoChecked, "not_checked": demoNotChecked,
	}
}

// keepRunning adds a proxy, says what to try, and waits for the user.
func (d *demoRun) keepRunning(ctx context.Context) error {
	receipts := filepath.Join(d.dir, "receipts")
	try := []string{
		d.shell("cocoon", "chat", "What is TON?", "--receipts", receipts),
		d.shell("cocoon", "nodes"),
		d.shell("cocoon", "verify", "node", d.node.relay),
		quoted(sibling("cocoon-node"), "status", "--dir", d.node.dir, "--ton-config", d.files.ton.Config),
	}
	go func() {
		select {
		case <-ctx.Done():
		case <-d.node.done:
			if ctx.Err() == nil {
				d.env.Logf("%v; start it again, or interrupt to end the demo", d.node.ended())
			}
		}
	}()
	return proxy(ctx, d.env, &d.files, proxyOptions{listen: "127.0.0.1:0", receipts: receipts}, func(url string, _ bool) error {
		if d.env.JSON {
			r := d.report()
			r["base_url"], r["relay"], r["receipts"], r["commands"] = url, d.node.relay, receipts, try
			r["node_dir"], r["node_command"] = d.node.dir, d.node.cmd.Args
			return d.env.PrintJSON(r)
		}
		_, err := fmt.Fprintf(d.out, "\n    Everything keeps running; interrupt to end it. In another terminal, in this directory:\n      %s\n\nOPENAI_BASE_URL=%s\n",
			strings.Join(try, "\n      "), url)
		return err
	})
}

// shell returns a command line for this demo's files.
func (d *demoRun) shell(program string, args ...string) string {
	f := &d.files
	return quoted(sibling(program), append(args, "--policy", f.policy, "--ton-config", f.ton.Config, "--registry", f.registry)...)
}

// sibling returns how a user who started this program would start one beside it.
func sibling(name string) string {
	if i := strings.LastIndexByte(os.Args[0], filepath.Separator); i >= 0 {
		return os.Args[0][:i+1] + name
	}
	return name
}

var plain = regexp.MustCompile(`^[A-Za-z0-9_@%+=:,./-]+$`)

// quoted returns a command line for a POSIX shell.
func quoted(program string, args ...string) string {
	words := append([]string{program}, args...)
	for i, w := range words {
		if !plain.MatchString(w) {
			words[i] = "'" + strings.ReplaceAll(w, "'", `'\''`) + "'"
		}
	}
	return strings.Join(words, " ")
}
