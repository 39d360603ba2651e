package amd

// Policy is the guest policy: what the owner of the guest allowed the platform
// to do with it, fixed at launch (56860, section 4.3, table 9).
type Policy uint64

// Bits of the guest policy.
const (
	policySMT                     = 1 << 16
	policyMustBeOne               = 1 << 17
	policyMigrateMA               = 1 << 18
	policyDebug                   = 1 << 19
	policySingleSocket            = 1 << 20
	policyCXL                     = 1 << 21
	policyMemAES256XTS            = 1 << 22
	policyRAPLDisabled            = 1 << 23
	policyCiphertextHiding        = 1 << 24
	policyPageSwapDisabled        = 1 << 25
	policyKnown            Policy = 1<<26 - 1
)

// ABI returns the lowest firmware ABI version that the guest accepts.
func (p Policy) ABI() (major, minor uint8) { return uint8(p >> 8), uint8(p) }

// SMT: simultaneous multithreading may be on.
func (p Policy) SMT() bool { return p&policySMT != 0 }

// MigrateMA: the guest may be handed to a migration agent.
func (p Policy) MigrateMA() bool { return p&policyMigrateMA != 0 }

// Debug: the host may decrypt and change guest memory. Nothing such a guest
// says can be believed.
func (p Policy) Debug() bool { return p&policyDebug != 0 }

// SingleSocket: the guest may run on one socket only.
func (p Policy) SingleSocket() bool { return p&policySingleSocket != 0 }

// CXL: CXL devices may be used.
func (p Policy) CXL() bool { return p&policyCXL != 0 }

// MemAES256XTS: memory encryption must be AES-256-XTS.
func (p Policy) MemAES256XTS() bool { return p&policyMemAES256XTS != 0 }

// RAPLDisabled: the power meter (RAPL) must be off.
func (p Policy) RAPLDisabled() bool { return p&policyRAPLDisabled != 0 }

// CiphertextHiding: the host must not be able to read guest ciphertext.
func (p Policy) CiphertextHiding() bool { return p&policyCiphertextHiding != 0 }

// PageSwapDisabled: the host must not move or swap guest pages.
func (p Policy) PageSwapDisabled() bool { return p&policyPageSwapDisabled != 0 }

// PlatformInfo tells how the platform is set up (56860, table 24).
type PlatformInfo uint64

// SMT is on.
func (p PlatformInfo) SMT() bool { return p&1 != 0 }

// TSME, transparent encryption of all memory, is on.
func (p PlatformInfo) TSME() bool { return p&2 != 0 }

// ECC memory is in use.
func (p PlatformInfo) ECC() bool { return p&4 != 0 }

// RAPLDisabled: the power meter is off.
func (p PlatformInfo) RAPLDisabled() bool { return p&8 != 0 }

// CiphertextHiding is on.
func (p PlatformInfo) CiphertextHiding() bool { return p&16 != 0 }

// AliasCheckComplete: since the last reset no aliasing memory was found
// (answer to CVE-2024-21944, "BadRAM").
func (p PlatformInfo) AliasCheckComplete() bool { return p&32 != 0 }

// TIO: trusted I/O is on.
func (p PlatformInfo) TIO() bool { return p&128 != 0 }

// Unknown returns the bits that have no meaning in the implemented
// specification.
func (p PlatformInfo) Unknown() uint64 { return uint64(p) &^ 0xbf }

// KeyKind says which key signed a report.
type KeyKind uint8

// The signing keys (56860, table 23, SIGNING_KEY).
const (
	VCEK KeyKind = 0 // versioned chip endorsement key: one chip, one TCB
	VLEK KeyKind = 1 // versioned loaded endorsement key: one cloud provider, one TCB
	none KeyKind = 7 // not signed
)

// String returns "VCEK" or "VLEK".
func (k KeyKind) String() string {
	switch k {
	case VCEK:
		return "VCEK"
	case VLEK:
		return "VLEK"
	case none:
		return "none"
	}
	return "unknown key"
}

func (k KeyKind) kdsPath() string {
	if k == VLEK {
		return "vlek"
	}
	return "vcek"
}

// intermediateName is the common name of the certificate above the key.
func (k KeyKind) intermediateName(p Product) string {
	if k == VLEK {
		return "SEV-VLEK-" + p.String()
	}
	return "SEV-" + p.String()
}
