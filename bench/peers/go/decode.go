package main

import (
	"encoding/binary"
	"fmt"
	"math"
	"strconv"
)

// setText takes a hash field's text. If it is not a number, the cell is not present.
func (c *cell) setText(text string) error {
	value, err := strconv.ParseFloat(text, 64)
	*c = cell{value, err == nil}
	return err
}

const (
	rowFormat  = 1
	headerSize = 13
)

// decodeRow reads a packed row of doubles, as docs/storage-format.md has it.
func (s *service) decodeRow(row string, cells []cell) error {
	nulls := headerSize + (len(cells)+7)/8
	if len(row) != nulls+8*len(cells) || row[0] != rowFormat {
		return fmt.Errorf("a row of %d bytes is not one of %s", len(row), s.view)
	}
	bytes := []byte(row)
	if binary.LittleEndian.Uint32(bytes[1:]) != s.fingerprint {
		return fmt.Errorf("a row of %s has another schema", s.view)
	}
	for i := range cells {
		bits := binary.LittleEndian.Uint64(bytes[nulls+8*i:])
		null := bytes[headerSize+i/8] >> (i % 8) & 1
		cells[i] = cell{math.Float64frombits(bits), null == 0}
	}
	return nil
}
