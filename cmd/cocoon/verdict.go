package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/internal/command"
)

// printVerdict prints a verdict for people or as JSON, and returns err as one
// that was explained.
func printVerdict(env *command.Env, v *attestation.Verdict, err error) error {
	if env.JSON {
		if perr := env.PrintJSON(v); perr != nil {
			return perr
		}
	} else {
		writeVerdict(env.Stdout, v, err)
	}
	return reported(env, err)
}

// reported says on standard error why a result is not a good one. The result
// itself was printed.
func reported(env *command.Env, err error) error {
	if err == nil {
		return nil
	}
	env.Logf("%v", err)
	return &command.ReportedError{Err: err}
}

// writeVerdict writes every check of a verdict that ended in err.
func writeVerdict(w io.Writer, v *attestation.Verdict, err error) {
	warnSimulated(w, v.Simulated)
	tw := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	for _, c := range v.Checks {
		fmt.Fprintf(tw, "%s\t%s\n", strings.ToUpper(string(c.Outcome)), checkText(c))
	}
	tw.Flush()
	for _, n := range v.NotChecked {
		fmt.Fprintf(w, "NOT CHECKED  %s\n", n)
	}
	if f := v.Facts; f != nil {
		fmt.Fprintf(w, "FACTS  root         %s\n", f.Root)
		if f.IntelVerdict != nil {
			fmt.Fprintf(w, "       TCB          %s, level of %s\n", f.TCBStatus, f.TCBDate)
		}
		if f.Measurement != "" {
			fmt.Fprintf(w, "       measurement  %s\n", f.Measurement)
		}
		writeComponents(w, f.Components)
	}
	fmt.Fprintf(w, "%s  %s evidence, judged at %s\n", resultWord(err, "ACCEPTED"), strings.ToUpper(v.Kind), v.At.UTC().Format(time.RFC3339))
}

// writeComponents writes what the event log says about code and what it was
// started with. Names are the policy's; without one, it is what the log says.
func writeComponents(w io.Writer, list []attestation.ComponentVerdict) {
	for _, c := range list {
		name := c.Name
		if name == "" {
			name = "called " + c.Role
		}
		if c.Name != "" || slices.Contains([]string{"boot loader", "kernel", "initrd", "command line"}, c.Role) {
			fmt.Fprintf(w, "       %s%d  %s  %s\n", c.Kind, c.Register, c.Digest, name)
		}
	}
}

func checkText(c attestation.Check) string {
	switch {
	case c.Outcome != attestation.Pass && c.Expected != "" && c.Got != "":
		return fmt.Sprintf("%s (expected %s, got %s)", c.Text, c.Expected, c.Got)
	case c.Outcome != attestation.Pass && c.Expected != "":
		return fmt.Sprintf("%s (expected %s)", c.Text, c.Expected)
	case c.Got != "" && (c.Outcome != attestation.Pass || len(c.Got) <= 48):
		return c.Text + ": " + c.Got
	}
	return c.Text
}

// resultWord is the last word on something that was verified.
func resultWord(err error, good string) string {
	switch attestation.ExitCode(err) {
	case 0:
		return good
	case 2:
		return "FALSE"
	case 3:
		return "COULD NOT FIND OUT"
	case 4:
		return "REFUSED"
	case 5:
		return "CHAIN DISAGREES"
	}
	return "NOT READABLE"
}
