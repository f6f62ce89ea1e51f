package main

import (
	"fmt"
	"strconv"
)

// A service is the features of one view, all of them, in declared order.
type service struct {
	entity   string
	joinKey  string
	view     string
	features []string
	// The fingerprint in the view's packed rows.
	fingerprint uint32
	// The text of "features" in answers about many.
	names []byte
	// Each feature's name, quoted, with the colon behind it.
	labels []string
}

func newService(entity, joinKey, view string, width int, fingerprint uint32) *service {
	s := &service{entity: entity, joinKey: joinKey, view: view, fingerprint: fingerprint}
	for i := range width {
		name := fmt.Sprintf("feature_%03d", i)
		s.features = append(s.features, name)
		s.labels = append(s.labels, strconv.Quote(name)+":")
		if i > 0 {
			s.names = append(s.names, ',')
		}
		s.names = strconv.AppendQuote(s.names, name)
	}
	return s
}

func (s *service) hashKey(id int64) string {
	return s.entity + ":{" + strconv.FormatInt(id, 10) + "}:v1"
}

func (s *service) rowKey(id int64) string {
	return s.hashKey(id) + ":" + s.view
}

// The most bytes that a value usually takes in an answer.
const cellBytes = 24

func (s *service) renderOne(id int64, cells []cell) []byte {
	body := make([]byte, 0, 128+len(cells)*(cellBytes+16))
	body = append(body, `{"entity":{"`...)
	body = append(body, s.joinKey...)
	body = append(body, `":`...)
	body = strconv.AppendInt(body, id, 10)
	body = append(body, `},"features":{`...)
	for i, cell := range cells {
		if i > 0 {
			body = append(body, ',')
		}
		body = append(body, s.labels[i]...)
		body = cell.appendTo(body)
	}
	return append(body, `},"version":1}`...)
}

func (s *service) renderMany(ids []int64, cells []cell) []byte {
	body := make([]byte, 0, 128+len(s.names)+len(ids)*8+len(cells)*cellBytes)
	body = append(body, `{"features":[`...)
	body = append(body, s.names...)
	body = append(body, `],"entities":{"`...)
	body = append(body, s.joinKey...)
	body = append(body, `":[`...)
	for i, id := range ids {
		if i > 0 {
			body = append(body, ',')
		}
		body = strconv.AppendInt(body, id, 10)
	}
	body = append(body, `]},"values":[`...)
	width := len(s.features)
	for row := range ids {
		if row > 0 {
			body = append(body, ',')
		}
		body = append(body, '[')
		for i, cell := range cells[row*width : (row+1)*width] {
			if i > 0 {
				body = append(body, ',')
			}
			body = cell.appendTo(body)
		}
		body = append(body, ']')
	}
	return append(body, `],"version":1}`...)
}

func (c cell) appendTo(body []byte) []byte {
	if !c.present {
		return append(body, "null"...)
	}
	return strconv.AppendFloat(body, c.value, 'g', -1, 64)
}
