/* A client on hiredis with its blocking calls and no limits, as its examples have it; after an error it makes a new context.
 * Its words and lines are told in src/reference/libraries.rs. */
#define _GNU_SOURCE
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <hiredis/hiredis.h>

typedef long long micros;

static FILE *out;

static micros clock_micros(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return now.tv_sec * 1000000LL + now.tv_nsec / 1000;
}

static micros wall(void) { return clock_micros(CLOCK_REALTIME); }
static micros mono(void) { return clock_micros(CLOCK_MONOTONIC); }

static void rest(micros us) {
    struct timespec left = {us / 1000000, us % 1000000 * 1000};
    nanosleep(&left, NULL);
}

/* The rest of the line is JSON, without its braces. */
static void note(const char *op, micros at, const char *format, ...) {
    va_list words;
    va_start(words, format);
    fprintf(out, "{\"at\": %lld, \"op\": \"%s\", ", at, op);
    vfprintf(out, format, words);
    fputs("}\n", out);
    fflush(out);
    va_end(words);
}

/* The library tells causes apart by errno, of which it keeps the text. */
static const char *cause(const redisContext *context) {
    const char *text = context->errstr;
    if (strcasestr(text, "timed out") || strcasestr(text, "temporarily unavailable")) return "timeout";
    if (strcasestr(text, "refused")) return "refused";
    if (strcasestr(text, "no route") || strcasestr(text, "unreachable")) return "unreachable";
    return "closed";
}

static void subscribe(const char *host, int port, const char *channel) {
    for (;; rest(100000)) {
        redisContext *context = redisConnect(host, port);
        const char *during = "connect";
        if (!context->err) {
            void *reply = redisCommand(context, "SUBSCRIBE %s", channel);
            during = "read";
            if (reply) note("connect", wall(), "\"outcome\": \"open\"");
            while (reply) {
                const redisReply *got = reply;
                if (got->elements == 3 && !strcmp(got->element[0]->str, "message"))
                    note("receive", wall(), "\"seq\": %ld", strtol(got->element[2]->str, NULL, 10));
                freeReplyObject(reply);
                reply = NULL;
                redisGetReply(context, &reply);
            }
        }
        note("connect", wall(), "\"outcome\": \"%s-%s\"", during, cause(context));
        redisFree(context);
    }
}

static void attempt(redisContext **context, char **argv, const char *host, int port, long seq) {
    const char *kind = argv[1], *channel = argv[6], *keys = argv[7];
    micros at = wall(), began = mono();
    char outcome[40] = "ok", receivers[40] = "";
    redisReply *reply = NULL;
    int connects = !*context;
    if (connects) *context = redisConnect(host, port);
    if (!(*context)->err) {
        connects = 0;
        if (!strcmp(kind, "publish")) reply = redisCommand(*context, "PUBLISH %s %ld", channel, seq);
        else if (!strcmp(kind, "set")) reply = redisCommand(*context, "SET %s%ld %ld", keys, seq, seq);
        else reply = redisCommand(*context, "GET %s%ld", keys, seq);
    }
    if (!reply) {
        snprintf(outcome, sizeof outcome, "%s-%s", connects ? "connect" : "reply", cause(*context));
        redisFree(*context);
        *context = NULL;
    } else {
        if (reply->type == REDIS_REPLY_ERROR) {
            sscanf(reply->str, "%39[A-Z]", outcome);
            for (char *at = outcome; *at; at++) *at |= 0x20;
        } else if (reply->type == REDIS_REPLY_INTEGER) {
            snprintf(receivers, sizeof receivers, ", \"receivers\": %lld", reply->integer);
        }
        freeReplyObject(reply);
    }
    note(kind, at, "\"seq\": %ld, \"outcome\": \"%s\", \"us\": %lld%s", seq, outcome, mono() - began, receivers);
}

int main(int argc, char **argv) {
    if (argc == 2 && !strcmp(argv[1], "--version")) {
        printf("%d.%d.%d\n", HIREDIS_MAJOR, HIREDIS_MINOR, HIREDIS_PATCH);
        return 0;
    }
    if (argc != 10) {
        fputs("the words of src/reference/libraries.rs\n", stderr);
        return 2;
    }
    char *host = argv[3], *colon = strchr(host, ':');
    *colon = 0;
    int port = atoi(colon + 1);
    out = fopen(argv[5], "a");
    if (!strcmp(argv[1], "subscribe")) subscribe(host, port, argv[6]);
    redisContext *context = NULL;
    micros every = atoll(argv[8]), due = mono();
    for (long seq = atol(argv[9]);; seq++) {
        attempt(&context, argv, host, port, seq);
        due += every;
        micros left = due - mono();
        if (left > 0) rest(left);
        else due = mono();
    }
}
