/* A bare C client: commands over a unix socket by hiredis, one after the other.
 *
 * usage: hiredis_client SOCKET SECONDS < COMMANDS
 *
 * A command is a line, its arguments between tabs. With 0 seconds each is sent once and the elements
 * of its reply are printed, tab-separated; otherwise all are sent in turn for so long, and one line
 * has the calls, and the median and the 99th percentile of a round trip in nanoseconds. */
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { COMMANDS = 256, ARGUMENTS = 1100, LINE = 1 << 16, SAMPLES = 1 << 22 };

struct command {
    int count;
    const char *arguments[ARGUMENTS];
    size_t lengths[ARGUMENTS];
};

static struct command commands[COMMANDS];
static long samples[SAMPLES];

static long now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000000000L + time.tv_nsec;
}

static int ascending(const void *a, const void *b) {
    long left = *(const long *)a, right = *(const long *)b;
    return (left > right) - (left < right);
}

static int read_commands(void) {
    static char line[LINE];
    int total = 0;
    while (total < COMMANDS && fgets(line, sizeof line, stdin)) {
        struct command *command = &commands[total++];
        line[strcspn(line, "\n")] = '\0';
        for (char *word = strtok(strdup(line), "\t"); word; word = strtok(NULL, "\t")) {
            command->arguments[command->count] = word;
            command->lengths[command->count++] = strlen(word);
        }
    }
    return total;
}

static redisReply *exchange(redisContext *redis, struct command *command) {
    redisReply *reply =
        redisCommandArgv(redis, command->count, command->arguments, command->lengths);
    if (!reply || reply->type != REDIS_REPLY_ARRAY) {
        fprintf(stderr, "%s\n", reply && reply->str ? reply->str : redis->errstr);
        exit(1);
    }
    return reply;
}

int main(int argc, char **argv) {
    if (argc != 3) return 2;
    double seconds = atof(argv[2]);
    int total = read_commands();
    redisContext *redis = redisConnectUnix(argv[1]);
    if (!total || !redis || redis->err) return fprintf(stderr, "no connection\n"), 1;
    if (seconds == 0) {
        for (int i = 0; i < total; i++) {
            redisReply *reply = exchange(redis, &commands[i]);
            for (size_t j = 0; j < reply->elements; j++)
                printf("%s%s", j ? "\t" : "", reply->element[j]->str ? reply->element[j]->str : "");
            printf("\n");
            freeReplyObject(reply);
        }
        return 0;
    }
    long calls = 0, before = now(), end = before + (long)(seconds * 1e9);
    while (before < end && calls < SAMPLES) {
        freeReplyObject(exchange(redis, &commands[calls % total]));
        long after = now();
        samples[calls++] = after - before;
        before = after;
    }
    qsort(samples, calls, sizeof *samples, ascending);
    printf("%ld %ld %ld\n", calls, samples[calls / 2], samples[calls * 99 / 100]);
    return 0;
}
