package main

import (
	"context"

	"github.com/redis/go-redis/v9"
)

// One command for one id, a pipeline for several, over the client's pool of connections.
type goRedisHashes struct{ client *redis.Client }
type goRedisFields struct{ client *redis.Client }
type goRedisPacked struct{ client *redis.Client }

func newGoRedisHashes(address string) (reader, error) {
	client, err := connectGoRedis(address)
	return goRedisHashes{client}, err
}

func newGoRedisFields(address string) (reader, error) {
	client, err := connectGoRedis(address)
	return goRedisFields{client}, err
}

func newGoRedisPacked(address string) (reader, error) {
	client, err := connectGoRedis(address)
	return goRedisPacked{client}, err
}

func connectGoRedis(address string) (*redis.Client, error) {
	client := redis.NewClient(&redis.Options{Addr: address})
	return client, client.Ping(context.Background()).Err()
}

func (r goRedisHashes) read(ctx context.Context, s *service, ids []int64, cells []cell) error {
	if len(ids) == 1 {
		fields, err := r.client.HGetAll(ctx, s.hashKey(ids[0])).Result()
		if err != nil {
			return err
		}
		return s.fromFields(fields, cells)
	}
	pipeline := r.client.Pipeline()
	commands := make([]*redis.MapStringStringCmd, len(ids))
	for i, id := range ids {
		commands[i] = pipeline.HGetAll(ctx, s.hashKey(id))
	}
	if _, err := pipeline.Exec(ctx); err != nil {
		return err
	}
	width := len(s.features)
	for i, command := range commands {
		if err := s.fromFields(command.Val(), cells[i*width:][:width]); err != nil {
			return err
		}
	}
	return nil
}

func (r goRedisFields) read(ctx context.Context, s *service, ids []int64, cells []cell) error {
	if len(ids) == 1 {
		values, err := r.client.HMGet(ctx, s.hashKey(ids[0]), s.features...).Result()
		if err != nil {
			return err
		}
		return fromValues(values, cells)
	}
	pipeline := r.client.Pipeline()
	commands := make([]*redis.SliceCmd, len(ids))
	for i, id := range ids {
		commands[i] = pipeline.HMGet(ctx, s.hashKey(id), s.features...)
	}
	if _, err := pipeline.Exec(ctx); err != nil {
		return err
	}
	width := len(s.features)
	for i, command := range commands {
		if err := fromValues(command.Val(), cells[i*width:][:width]); err != nil {
			return err
		}
	}
	return nil
}

func (r goRedisPacked) read(ctx context.Context, s *service, ids []int64, cells []cell) error {
	keys := make([]string, len(ids))
	for i, id := range ids {
		keys[i] = s.rowKey(id)
	}
	rows, err := r.client.MGet(ctx, keys...).Result()
	if err != nil {
		return err
	}
	width := len(s.features)
	for i, row := range rows {
		if text, found := row.(string); found {
			if err := s.decodeRow(text, cells[i*width:][:width]); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *service) fromFields(fields map[string]string, cells []cell) error {
	for i, name := range s.features {
		if text, found := fields[name]; found {
			if err := cells[i].setText(text); err != nil {
				return err
			}
		}
	}
	return nil
}

func fromValues(values []any, cells []cell) error {
	for i, value := range values {
		if text, found := value.(string); found {
			if err := cells[i].setText(text); err != nil {
				return err
			}
		}
	}
	return nil
}
