package api

import (
	"bytes"
	"compress/gzip"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"github.com/cespare/xxhash/v2"
)

const (
	jsonType = "application/json"
	// least is from how many bytes on compression pays.
	least = 1 << 10
	// kept is how large a buffer may be that is used again.
	kept = 1 << 20
)

// reuse is memory that is used again. It holds nothing between answers.
type reuse struct {
	buffers sync.Pool // of *[]byte
	zippers sync.Pool // of *gzip.Writer
}

// answer calls f with an empty buffer; what f returns is the answer.
func (u *reuse) answer(w http.ResponseWriter, r *http.Request, f func([]byte) ([]byte, error)) error {
	p, ok := u.buffers.Get().(*[]byte)
	if !ok {
		p = new([]byte)
	}
	body, err := f((*p)[:0])
	if err == nil {
		body = append(body, '\n')
		u.respond(w, r, jsonType, body)
	}
	if cap(body) <= kept {
		*p = body
		u.buffers.Put(p)
	}
	return err
}

// respond writes an answer, compressed where that is wanted, or that it is still the
// one that the client has.
func (u *reuse) respond(w http.ResponseWriter, r *http.Request, contentType string, body []byte) {
	h := w.Header()
	zip := len(body) >= least && accepts(r.Header.Get("Accept-Encoding"), "gzip")
	var tag [24]byte
	etag := strconv.AppendUint(append(tag[:0], '"'), xxhash.Sum64(body), 16)
	if zip {
		etag = append(etag, "-gz"...) // other bytes, another strong tag
	}
	etag = append(etag, '"')
	h.Set("ETag", string(etag))
	h.Set("Vary", "Accept-Encoding, Authorization")
	h.Set("Cache-Control", "private, no-cache")
	h.Set("X-Content-Type-Options", "nosniff")
	if matches(r.Header.Get("If-None-Match"), etag) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	h.Set("Content-Type", contentType)
	if zip {
		h.Set("Content-Encoding", "gzip")
		body = u.compress(body)
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	_, _ = w.Write(body) // the client is gone: there is nobody to tell
}

func (u *reuse) compress(body []byte) []byte {
	var b bytes.Buffer
	z, ok := u.zippers.Get().(*gzip.Writer)
	if !ok {
		z = gzip.NewWriter(&b)
	}
	z.Reset(&b)
	_, _ = z.Write(body) // into memory
	_ = z.Close()
	u.zippers.Put(z)
	return b.Bytes()
}

// matches reports whether If-None-Match names the answer, or the one that differs in
// its compression only (RFC 9110, 13.1.2: the comparison is weak).
func matches(header string, etag []byte) bool {
	if header == "" {
		return false
	}
	want := plain(string(etag))
	for tag := range strings.SplitSeq(header, ",") {
		tag = strings.TrimSpace(tag)
		if tag == "*" || plain(strings.TrimPrefix(tag, "W/")) == want {
			return true
		}
	}
	return false
}

func plain(tag string) string {
	return strings.TrimSuffix(strings.Trim(tag, `"`), "-gz")
}

// accepts reports whether Accept-Encoding names a coding, with a weight above 0
// (RFC 9110, 12.5.3).
func accepts(header, coding string) bool {
	for item := range strings.SplitSeq(header, ",") {
		name, weight, _ := strings.Cut(item, ";")
		if !strings.EqualFold(strings.TrimSpace(name), coding) {
			continue
		}
		_, q, has := strings.Cut(strings.ReplaceAll(weight, " ", ""), "q=")
		if !has {
			return true
		}
		f, err := strconv.ParseFloat(q, 64)
		return err == nil && f > 0
	}
	return false
}
