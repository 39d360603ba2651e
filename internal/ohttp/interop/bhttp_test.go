package interop

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"testing"

	theirs "github.com/openpcc/bhttp"

	"github.com/cocoon-go/cocoon/internal/bhttp"
)

func TestBHTTPRequests(t *testing.T) {
	for name, encoder := range map[string]*theirs.RequestEncoder{
		"known": theirs.NewKnownLengthRequestEncoder(), "indeterminate": theirs.NewIndeterminateLengthRequestEncoder(),
	} {
		for _, size := range sizes {
			t.Run(fmt.Sprint(name, size), func(t *testing.T) {
				content := bytes.Repeat([]byte{'r'}, size)
				in, err := http.NewRequest("POST", "https://node.example/v1/x?y=1", bytes.NewReader(content))
				if err != nil {
					t.Fatal(err)
				}
				in.Header = http.Header{"Content-Type": {"text/plain"}, "Accept": {"a", "b"}}
				msg, err := encoder.EncodeRequest(in)
				if err != nil {
					t.Fatal(err)
				}
				r, err := bhttp.ReadRequest(msg, bhttp.DefaultLimits)
				if err != nil {
					t.Fatal(err)
				}
				out, err := r.HTTP(context.Background())
				if err != nil {
					t.Fatal(err)
				}
				got, err := io.ReadAll(out.Body)
				same(t, "ours reads theirs", got, err, content)
				if out.Method != in.Method || out.Host != in.URL.Host || out.RequestURI != in.URL.RequestURI() || !reflect.DeepEqual(out.Header, in.Header) {
					t.Errorf("%+v", out)
				}

				// The other way round.
				in.Header.Set("Content-Length", fmt.Sprint(size))
				head, err := bhttp.FromRequest(in, nil)
				if err != nil {
					t.Fatal(err)
				}
				var mine []byte
				if name == "known" {
					mine, err = bhttp.AppendKnownRequest(nil, head, content, nil)
				} else {
					mine, err = bhttp.AppendRequest(nil, head)
					if err == nil {
						mine, err = bhttp.AppendEnd(bhttp.AppendChunk(mine, content), nil)
					}
				}
				if err != nil {
					t.Fatal(err)
				}
				back, err := new(theirs.RequestDecoder).DecodeRequest(context.Background(), bytes.NewReader(mine))
				if err != nil {
					t.Fatal(err)
				}
				got, err = io.ReadAll(back.Body)
				same(t, "theirs reads ours", got, err, content)
				if back.Method != "POST" || back.URL.Path != "/v1/x" || back.Header.Get("Content-Type") != "text/plain" {
					t.Errorf("%+v", back)
				}
			})
		}
	}
}

func TestBHTTPResponses(t *testing.T) {
	for _, size := range sizes {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			content := bytes.Repeat([]byte{'r'}, size)
			in := &http.Response{
				StatusCode: 200, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, ContentLength: -1,
				TransferEncoding: []string{"chunked"},
				Header:           http.Header{"Content-Type": {"text/event-stream"}},
				Trailer:          http.Header{"Cocoon-Receipt": {"abc"}},
				Body:             io.NopCloser(bytes.NewReader(content)),
			}
			msg, err := new(theirs.ResponseEncoder).EncodeResponse(in)
			if err != nil {
				t.Fatal(err)
			}
			r, err := bhttp.ReadResponse(msg, bhttp.DefaultLimits)
			if err != nil {
				t.Fatal(err)
			}
			out := r.HTTP(nil)
			got, err := io.ReadAll(out.Body)
			same(t, "ours reads theirs", got, err, content)
			if out.StatusCode != 200 || out.Header.Get("Content-Type") != "text/event-stream" || out.Trailer.Get("Cocoon-Receipt") != "abc" {
				t.Errorf("%+v", out)
			}

			// Theirs wants trailer names announced.
			mine, err := bhttp.AppendResponse(nil, 200, []bhttp.Field{{Name: "content-type", Value: "text/event-stream"}, {Name: "trailer", Value: "Cocoon-Receipt"}})
			if err != nil {
				t.Fatal(err)
			}
			mine, err = bhttp.AppendEnd(bhttp.AppendChunk(mine, content), []bhttp.Field{{Name: "cocoon-receipt", Value: "abc"}})
			if err != nil {
				t.Fatal(err)
			}
			back, err := new(theirs.ResponseDecoder).DecodeResponse(context.Background(), bytes.NewReader(mine))
			if err != nil {
				t.Fatal(err)
			}
			got, err = io.ReadAll(back.Body)
			same(t, "theirs reads ours", got, err, content)
			if back.StatusCode != 200 || back.Trailer.Get("Cocoon-Receipt") != "abc" {
				t.Errorf("%+v", back)
			}
		})
	}
}
