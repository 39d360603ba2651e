// Package interop checks internal/bhttp and internal/ohttp against independent
// implementations: openpcc/bhttp and openpcc/twoway over Cloudflare's circl.
// It is a module of its own, so that nothing else depends on them.
package interop
