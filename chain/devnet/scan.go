package devnet

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
)

// scan reads all records and hands each to f. Behind the last good one it cuts off
// what a crash left, and returns how many bytes: of damage that has good records
// behind it, only when it is told to repair.
func (s *store) scan(repair bool, f func(seqno uint32, r record) error) (cut int64, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	in := bufio.NewReaderSize(io.NewSectionReader(s.f, 0, 1<<62), 1<<20)
	for {
		r, n, ok := nextRecord(in)
		if !ok {
			break
		}
		if err := f(uint32(len(s.offsets))+1, r); err != nil {
			return 0, err
		}
		s.offsets = append(s.offsets, s.end)
		s.end += n
	}
	if !repair {
		if at, err := s.ahead(); err != nil {
			return 0, err
		} else if at > 0 {
			return 0, fmt.Errorf("dev chain directory %s: the record of block %d, at byte %d of blocks, is damaged, and a good one follows at byte %d; "+
				"restore the file, or start once with repair: blocks from %d on are then lost, and the chain goes on before them",
				s.dir, len(s.offsets)+1, s.end, at, len(s.offsets)+1)
		}
	}
	info, err := s.f.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size() - s.end, s.f.Truncate(s.end)
}

// nextRecord reads a record and returns its length with the header; false at the
// end, and where it is torn or damaged.
func nextRecord(in io.Reader) (r record, size int64, ok bool) {
	var head [recordHeader]byte
	if _, err := io.ReadFull(in, head[:]); err != nil {
		return r, 0, false
	}
	n := binary.BigEndian.Uint32(head[:])
	if n > maxRecord {
		return r, 0, false
	}
	body := make([]byte, n)
	if _, err := io.ReadFull(in, body); err != nil {
		return r, 0, false
	}
	if crc32.Checksum(body, castagnoli) != binary.BigEndian.Uint32(head[4:]) {
		return r, 0, false
	}
	r, err := decodeRecord(body)
	return r, recordHeader + int64(n), err == nil
}

// Bounds of the search for good records behind a damaged one.
const (
	searchBytes  = 4 << 20 // in memory at a time
	searchRecord = 1 << 20 // bytes of a record that it finds; they have some ten thousand
)

// ahead returns where a good record begins behind the first damaged one, however
// far, and 0 for nowhere: then it is the tail of a write that was cut short.
func (s *store) ahead() (int64, error) {
	window := make([]byte, searchBytes)
	for at := s.end + 1; ; at += searchBytes - searchRecord - recordHeader {
		n, err := s.f.ReadAt(window, at)
		if err != nil && err != io.EOF {
			return 0, err
		}
		if i := goodRecord(window[:n]); i >= 0 {
			return at + int64(i), nil
		}
		if err == io.EOF {
			return 0, nil
		}
	}
}

// goodRecord returns where in b a good record begins, which ends in b; -1 for
// nowhere.
func goodRecord(b []byte) int {
	for i := 0; i+recordHeader < len(b); i++ {
		n := binary.BigEndian.Uint32(b[i:])
		if n == 0 || n > searchRecord || uint64(n) > uint64(len(b)-i-recordHeader) {
			continue
		}
		body := b[i+recordHeader:][:n]
		if crc32.Checksum(body, castagnoli) != binary.BigEndian.Uint32(b[i+4:]) {
			continue
		}
		if _, err := decodeRecord(body); err == nil {
			return i
		}
	}
	return -1
}
