package contracts

import (
	"fmt"
	"regexp"
	"strconv"
	"sync"
)

var errorLine = regexp.MustCompile(`(?m)^const (ERR_[A-Z_0-9]+) *= (\d+)(?: *// *(.*))?$`)

type errorInfo struct{ name, text string }

// errorTable is errors.tolk by code.
var errorTable = sync.OnceValue(func() map[int]errorInfo {
	b, err := files.ReadFile("errors.tolk")
	if err != nil {
		panic(err)
	}
	t := map[int]errorInfo{}
	for _, m := range errorLine.FindAllStringSubmatch(string(b), -1) {
		code, err := strconv.Atoi(m[2])
		if _, twice := t[code]; err != nil || twice {
			panic("contracts: errors.tolk lists code " + m[2] + " twice")
		}
		t[code] = errorInfo{m[1], m[3]}
	}
	return t
})

// virtualMachine names the exit codes of TVM itself that a message can cause.
var virtualMachine = map[int]string{
	2: "stack underflow", 4: "integer overflow", 5: "integer out of range", 7: "type check", 8: "cell overflow",
	9: "cell underflow: a message or quote is cut or shaped otherwise than the format says", 13: "out of gas",
	32: "invalid action list", 37: "not enough coins for an action", 40: "not enough coins to forward a message",
}

// ErrorName returns the name of a contract's exit code, as errors.tolk has it,
// with its meaning.
func ErrorName(code int) string {
	if e, ok := errorTable()[code]; ok {
		if e.text == "" {
			return e.name
		}
		return e.name + " (" + e.text + ")"
	}
	if s, ok := virtualMachine[code]; ok {
		return fmt.Sprintf("exit code %d (%s)", code, s)
	}
	return fmt.Sprintf("exit code %d", code)
}
