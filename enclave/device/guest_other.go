//go:build !linux

package device

import "errors"

// errNoGuest says that confidential guests run Linux.
var errNoGuest = errors.New("confidential guest devices are known on Linux only")

func openTDX() (Device, error) { return nil, errNoGuest }

func openSNP() (Device, error) { return nil, errNoGuest }
