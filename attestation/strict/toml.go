// Package strict reads files that people write, and takes nothing in them that
// it does not know.
package strict

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"github.com/pelletier/go-toml/v2"
)

// TOML decodes data into v. A key that v has no field for is an error, and no
// input makes it panic: go-toml v2.2.4 does (subslice address out of the text)
// when it reports an unknown key that is written with escapes. Callers bound the
// size of data.
func TOML(data []byte, v any) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = errors.New("a key that is written with escapes is not known here; write keys plainly")
		}
	}()
	err = toml.NewDecoder(bytes.NewReader(data)).DisallowUnknownFields().Decode(v)
	var unknown *toml.StrictMissingError
	if errors.As(err, &unknown) {
		return &unknownKeys{unknown}
	}
	if err != nil {
		return newProblem(err)
	}
	return nil
}

// unknownKeys says which keys are not known, and where.
type unknownKeys struct{ err *toml.StrictMissingError }

func (e *unknownKeys) Error() string {
	var keys []string
	for _, x := range e.err.Errors {
		line, _ := x.Position()
		keys = append(keys, fmt.Sprintf("line %d: unknown key %s", line, strings.Join(x.Key(), ".")))
	}
	return strings.Join(keys, "; ")
}

func (e *unknownKeys) Unwrap() error { return e.err }
