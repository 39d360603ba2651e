package chain

import (
	"encoding/hex"
	"errors"
)

func decodeHex32(s string) (out [32]byte, err error) {
	if len(s) != 64 {
		return out, errors.New("want 64 hex digits")
	}
	_, err = hex.Decode(out[:], []byte(s))
	return out, err
}
