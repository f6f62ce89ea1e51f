// The peer in Go: the two routes of /v1/features as one would write them with net/http and a Redis
// client, with some care: answers are appended to a buffer, without reflection.
//
// It knows its services beforehand and its values are floats, so it has less to do than a feature
// store: no registry, no types, no statuses, no deadlines.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"net/http"
	"strconv"
	"strings"
)

// A cell is one value. If it is not stored, it is not present.
type cell struct {
	value   float64
	present bool
}

// A reader fills one row of cells for each id, one row after the other.
type reader interface {
	read(ctx context.Context, service *service, ids []int64, cells []cell) error
}

// The readers by client and way to read: HGETALL and HMGET of hashes, MGET of packed rows.
var readers = map[string]func(address string) (reader, error){
	"go-redis hgetall": newGoRedisHashes,
	"go-redis hmget":   newGoRedisFields,
	"go-redis packed":  newGoRedisPacked,
	"rueidis hgetall":  newRueidisHashes,
	"rueidis hmget":    newRueidisFields,
	"rueidis packed":   newRueidisPacked,
}

type server struct {
	reader   reader
	services map[string]*service
}

func main() {
	redis := flag.String("redis", "127.0.0.1:6379", "address of the Redis server")
	port := flag.Int("port", 8080, "port to listen on, on loopback")
	client := flag.String("client", "go-redis", "go-redis or rueidis")
	read := flag.String("read", "hmget", "hgetall, hmget or packed")
	services := services{}
	flag.Var(services, "service", "NAME=ENTITY:JOIN_KEY:VIEW:FEATURES:FINGERPRINT, for each service")
	flag.Parse()

	open, known := readers[*client+" "+*read]
	if !known {
		log.Fatalf("there is no client %s that reads by %s", *client, *read)
	}
	reader, err := open(*redis)
	if err != nil {
		log.Fatalf("no connection to %s: %v", *redis, err)
	}
	served := &server{reader, services}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/features", served.one)
	mux.HandleFunc("POST /v1/features", served.many)
	log.Fatal(http.ListenAndServe(fmt.Sprintf("127.0.0.1:%d", *port), mux))
}

func (s *server) one(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	service := s.services[query.Get("service")]
	if service == nil {
		problem(w, http.StatusNotFound, "no such service")
		return
	}
	id, err := strconv.ParseInt(query.Get(service.joinKey), 10, 64)
	if err != nil {
		problem(w, http.StatusUnprocessableEntity, service.joinKey+" must be an integer")
		return
	}
	cells := make([]cell, len(service.features))
	if err := s.reader.read(r.Context(), service, []int64{id}, cells); err != nil {
		problem(w, http.StatusServiceUnavailable, err.Error())
		return
	}
	answer(w, service.renderOne(id, cells))
}

func (s *server) many(w http.ResponseWriter, r *http.Request) {
	var body struct {
		Service  string             `json:"service"`
		Entities map[string][]int64 `json:"entities"`
	}
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
		problem(w, http.StatusUnprocessableEntity, err.Error())
		return
	}
	service := s.services[body.Service]
	if service == nil {
		problem(w, http.StatusNotFound, "no such service")
		return
	}
	ids, found := body.Entities[service.joinKey]
	if !found || len(body.Entities) != 1 {
		problem(w, http.StatusUnprocessableEntity, "entities must be "+service.joinKey)
		return
	}
	cells := make([]cell, len(ids)*len(service.features))
	if err := s.reader.read(r.Context(), service, ids, cells); err != nil {
		problem(w, http.StatusServiceUnavailable, err.Error())
		return
	}
	answer(w, service.renderMany(ids, cells))
}

func answer(w http.ResponseWriter, body []byte) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	_, _ = w.Write(body)
}

func problem(w http.ResponseWriter, status int, detail string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	body, _ := json.Marshal(map[string]any{"status": status, "detail": detail})
	_, _ = w.Write(body)
}

// services are those that the `-service` flags name.
type services map[string]*service

func (s services) String() string { return fmt.Sprint(len(s)) }

func (s services) Set(text string) error {
	name, rest, _ := strings.Cut(text, "=")
	parts := strings.Split(rest, ":")
	if len(parts) != 5 {
		return fmt.Errorf("%q is not NAME=ENTITY:JOIN_KEY:VIEW:FEATURES:FINGERPRINT", text)
	}
	width, err := strconv.Atoi(parts[3])
	if err != nil {
		return err
	}
	fingerprint, err := strconv.ParseUint(parts[4], 10, 32)
	if err != nil {
		return err
	}
	s[name] = newService(parts[0], parts[1], parts[2], width, uint32(fingerprint))
	return nil
}
