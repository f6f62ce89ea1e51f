package main

import (
	"context"

	"github.com/redis/rueidis"
)

// rueidis joins the commands of all callers on a few connections by itself.
type rueidisHashes struct{ client rueidis.Client }
type rueidisFields struct{ client rueidis.Client }
type rueidisPacked struct{ client rueidis.Client }

func newRueidisHashes(address string) (reader, error) {
	client, err := connectRueidis(address)
	return rueidisHashes{client}, err
}

func newRueidisFields(address string) (reader, error) {
	client, err := connectRueidis(address)
	return rueidisFields{client}, err
}

func newRueidisPacked(address string) (reader, error) {
	client, err := connectRueidis(address)
	return rueidisPacked{client}, err
}

func connectRueidis(address string) (rueidis.Client, error) {
	return rueidis.NewClient(rueidis.ClientOption{InitAddress: []string{address}})
}

func (r rueidisHashes) read(ctx context.Context, s *service, ids []int64, cells []cell) error {
	commands := make(rueidis.Commands, len(ids))
	for i, id := range ids {
		commands[i] = r.client.B().Hgetall().Key(s.hashKey(id)).Build()
	}
	width := len(s.features)
	for i, result := range r.client.DoMulti(ctx, commands...) {
		fields, err := result.AsStrMap()
		if err != nil {
			return err
		}
		if err := s.fromFields(fields, cells[i*width:][:width]); err != nil {
			return err
		}
	}
	return nil
}

func (r rueidisFields) read(ctx context.Context, s *service, ids []int64, cells []cell) error {
	commands := make(rueidis.Commands, len(ids))
	for i, id := range ids {
		commands[i] = r.client.B().Hmget().Key(s.hashKey(id)).Field(s.features...).Build()
	}
	width := len(s.features)
	for i, result := range r.client.DoMulti(ctx, commands...) {
		values, err := result.ToArray()
		if err != nil {
			return err
		}
		if err := fromMessages(values, cells[i*width:][:width]); err != nil {
			return err
		}
	}
	return nil
}

func (r rueidisPacked) read(ctx context.Context, s *service, ids []int64, cells []cell) error {
	keys := make([]string, len(ids))
	for i, id := range ids {
		keys[i] = s.rowKey(id)
	}
	rows, err := r.client.Do(ctx, r.client.B().Mget().Key(keys...).Build()).ToArray()
	if err != nil {
		return err
	}
	width := len(s.features)
	for i := range rows {
		if rows[i].IsNil() {
			continue
		}
		row, err := rows[i].ToString()
		if err != nil {
			return err
		}
		if err := s.decodeRow(row, cells[i*width:][:width]); err != nil {
			return err
		}
	}
	return nil
}

func fromMessages(values []rueidis.RedisMessage, cells []cell) error {
	for i := range values {
		if values[i].IsNil() {
			continue
		}
		text, err := values[i].ToString()
		if err != nil {
			return err
		}
		if err := cells[i].setText(text); err != nil {
			return err
		}
	}
	return nil
}
