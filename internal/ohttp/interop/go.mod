module github.com/cocoon-go/cocoon/internal/ohttp/interop

go 1.26.0

require (
	github.com/cloudflare/circl v1.6.4
	github.com/cocoon-go/cocoon v0.0.0
	github.com/openpcc/bhttp v0.0.80
	github.com/openpcc/twoway v0.0.80
)

require (
	github.com/quic-go/quic-go v0.57.1 // indirect
	golang.org/x/crypto v0.59.0 // indirect
	golang.org/x/net v0.62.0 // indirect
	golang.org/x/sys v0.50.0 // indirect
	golang.org/x/text v0.44.0 // indirect
)

replace github.com/cocoon-go/cocoon => ../../..
