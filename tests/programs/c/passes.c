/* Pairs of TLS objects in one process, joined by memory, and HTTP between them: whatever the kernel
 * captures or loses of it, the program knows to the byte what passed.
 *
 * usage: passes CERTIFICATE KEY FOLDER STEP...
 *
 * Each STEP is done in turn, on pairs named by a letter:
 *   call:P        an LLM call, whole
 *   faulty:P      an LLM call whose buffers are gone when the library returns: the first page of the
 *                 request's after it was encrypted, and of the reader's after it was decrypted into
 *   huge:P:BYTES  a request that is no LLM call, its body handed over in one piece
 *   stream:P      begins an LLM call whose answer is a stream, with one chunk
 *   chunk:P       one chunk more
 *   done:P        the stream's usage and its end
 *   blob:P        begins a download that is no LLM call
 *   bytes:P:BYTES so many bytes of it
 *   until:P:FILE  more of it until FOLDER/FILE is there
 *   end:P         the end of the download
 *   wait:FILE     waits until FOLDER/FILE is there
 *   say:WORD      a line on standard error
 *
 * Prints one JSON object at the end: `passed`, all bytes that SSL_read and SSL_write say they moved,
 * and `gone`, those of calls whose buffer was taken away, as [sent, received].
 * The functions are declared here: the library's headers need not be installed.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

extern int CRYPTO_set_mem_functions(void *(*)(size_t, const char *, int),
                                    void *(*)(void *, size_t, const char *, int),
                                    void (*)(void *, const char *, int));
extern void *TLS_client_method(void), *TLS_server_method(void);
extern void *SSL_CTX_new(void *), *SSL_new(void *);
extern int SSL_CTX_use_certificate_file(void *, const char *, int);
extern int SSL_CTX_use_PrivateKey_file(void *, const char *, int);
extern long SSL_CTX_ctrl(void *, int, long, void *);
extern void SSL_set_bio(void *, void *, void *);
extern void SSL_set_connect_state(void *), SSL_set_accept_state(void *);
extern int SSL_do_handshake(void *);
extern int SSL_write(void *, const void *, int), SSL_read(void *, void *, int);
extern void SSL_free(void *);
extern int BIO_new_bio_pair(void **, size_t, void **, size_t);
typedef long callback(void *, int, const char *, size_t, int, long, int, size_t *);
extern void BIO_set_callback_ex(void *, callback *);

enum { PEM = 1, CTRL_MODE = 33, RELEASE_BUFFERS = 16, BIO_WRITE = 3 };
enum { PAGE = 4096, RECORD = 16384, PIPE = 1 << 20, BODY = 40000, BLOCK = 1 << 16 };

struct pair {
    void *client, *server;
    void *client_bio;
};

static struct pair pairs[26];
static void *client_context, *server_context;
static const char *folder;
static unsigned long long passed, gone_sent, gone_received;
/* A page of this is taken away once the library has no more use for it. */
static char *send_buffer, *read_buffer;
static int take_sent, take_received, taken, calls;

static void fail(const char *what) {
    fprintf(stderr, "passes: %s\n", what);
    exit(1);
}

static void *get(size_t size, const char *file, int line) {
    (void)file, (void)line;
    return malloc(size);
}

static void *get_anew(void *old, size_t size, const char *file, int line) {
    (void)file, (void)line;
    return realloc(old, size);
}

/* The library lets go of its own buffer after it has filled the caller's (SSL_MODE_RELEASE_BUFFERS). */
static void let_go(void *old, const char *file, int line) {
    (void)file, (void)line;
    if (take_received && read_buffer[0]) {
        take_received = 0;
        taken = 1;
        mprotect(read_buffer, PAGE, PROT_NONE);
    }
    free(old);
}

/* A record is encrypted and about to be written: its plaintext is not needed any more. */
static long on_bio(void *bio, int operation, const char *data, size_t length, int argi, long argl,
                   int result, size_t *processed) {
    (void)bio, (void)data, (void)length, (void)argi, (void)argl, (void)processed;
    if (operation == BIO_WRITE && take_sent) {
        take_sent = 0;
        mprotect(send_buffer, PAGE, PROT_NONE);
    }
    return result;
}

static char *pages(size_t size) {
    void *found = mmap(0, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (found == MAP_FAILED) fail("no memory");
    return found;
}

static int pull(void *tls) {
    read_buffer[0] = 0;
    taken = 0;
    int got = SSL_read(tls, read_buffer, RECORD);
    if (got <= 0) return got;
    passed += (unsigned)got;
    if (taken) {
        mprotect(read_buffer, PAGE, PROT_READ | PROT_WRITE);
        gone_received += (unsigned)got;
    }
    return got;
}

/* Everything that has come so far. */
static void drain(void *tls) {
    while (pull(tls) > 0) continue;
}

static void push(void *from, void *to, const char *data, size_t length) {
    int put;
    while ((put = SSL_write(from, data, (int)length)) <= 0) drain(to);
    if ((size_t)put != length) fail("a short write");
    passed += length;
    drain(to);
}

static struct pair *of(char letter) {
    struct pair *pair = &pairs[letter - 'a'];
    if (pair->client) return pair;
    void *server_bio;
    if (!BIO_new_bio_pair(&pair->client_bio, PIPE, &server_bio, PIPE)) fail("no BIO");
    BIO_set_callback_ex(pair->client_bio, on_bio);
    pair->client = SSL_new(client_context);
    pair->server = SSL_new(server_context);
    SSL_set_bio(pair->client, pair->client_bio, pair->client_bio);
    SSL_set_bio(pair->server, server_bio, server_bio);
    SSL_set_connect_state(pair->client);
    SSL_set_accept_state(pair->server);
    for (int round = 0; round < 10; round++) {
        int one = SSL_do_handshake(pair->client), other = SSL_do_handshake(pair->server);
        if (one == 1 && other == 1) return pair;
    }
    fail("no handshake");
    return 0;
}

static void ask(struct pair *pair, const char *line, const char *more, size_t length) {
    char head[512];
    int size = snprintf(head, sizeof head, "%s HTTP/1.1\r\nhost: localhost\r\n%scontent-length: %zu\r\n\r\n",
                        line, more, length);
    push(pair->client, pair->server, head, (size_t)size);
}

static void ask_llm(struct pair *pair, const char *stream, int faulty) {
    memset(send_buffer, 'p', BODY);
    int head = sprintf(send_buffer, "{\"model\":\"model-p\",%s\"messages\":[{\"role\":\"user\",\"content\":\"", stream);
    send_buffer[head] = 'p';
    memcpy(send_buffer + BODY - 4, "\"}]}", 4);
    ask(pair, "POST /v1/chat/completions", "content-type: application/json\r\n", BODY);
    take_sent = take_received = faulty;
    push(pair->client, pair->server, send_buffer, BODY);
    if (take_sent || take_received) fail("nothing was taken away");
    if (faulty) {
        /* The kernel's side copies in parts of this size, and a part that lacks a page is lost. */
        gone_sent += RECORD;
        mprotect(send_buffer, PAGE, PROT_READ | PROT_WRITE);
    }
}

static void answer_llm(struct pair *pair) {
    char body[512], head[256];
    int length = snprintf(body, sizeof body,
                          "{\"id\":\"chatcmpl-%d\",\"object\":\"chat.completion\",\"model\":\"model-p\",\"choices\":"
                          "[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"a\"},\"finish_reason\":"
                          "\"stop\"}],\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":%d,\"total_tokens\":%d}}",
                          calls, calls + 10, calls + 17);
    calls++;
    int size = snprintf(head, sizeof head,
                        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n", length);
    push(pair->server, pair->client, head, (size_t)size);
    push(pair->server, pair->client, body, (size_t)length);
}

static void answer_chunked(struct pair *pair, const char *type) {
    char head[256];
    int size = snprintf(head, sizeof head,
                        "HTTP/1.1 200 OK\r\ncontent-type: %s\r\ntransfer-encoding: chunked\r\n\r\n", type);
    push(pair->server, pair->client, head, (size_t)size);
}

static void chunk(struct pair *pair, const char *data, size_t length) {
    char frame[16];
    int size = snprintf(frame, sizeof frame, "%zx\r\n", length);
    char *all = malloc(length + 20);
    memcpy(all, frame, (size_t)size);
    memcpy(all + size, data, length);
    memcpy(all + size + length, "\r\n", 2);
    push(pair->server, pair->client, all, (size_t)size + length + 2);
    free(all);
}

static void event(struct pair *pair, const char *choices, const char *usage) {
    char text[512];
    int length = snprintf(text, sizeof text,
                          "data: {\"id\":\"chatcmpl-stream\",\"object\":\"chat.completion.chunk\",\"model\":"
                          "\"model-p\",\"choices\":[%s]%s}\n\n", choices, usage);
    chunk(pair, text, (size_t)length);
}

static const char *CHOICE = "{\"index\":0,\"delta\":{\"content\":\"x\"}}";

static int is_there(const char *file) {
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", folder, file);
    return access(path, F_OK) == 0;
}

static void blob(struct pair *pair, unsigned long long bytes) {
    static char block[BLOCK];
    memset(block, 'b', sizeof block);
    for (; bytes > 0; bytes -= bytes < BLOCK ? bytes : BLOCK)
        chunk(pair, block, bytes < BLOCK ? bytes : BLOCK);
}

static void step(char *text) {
    char *name = strtok(text, ":"), *first = strtok(0, ":"), *second = strtok(0, ":");
    if (!name || !first) fail("a step without a colon");
    if (!strcmp(name, "say")) {
        fprintf(stderr, "%s\n", first);
        return;
    }
    if (!strcmp(name, "wait")) {
        while (!is_there(first)) usleep(1000);
        return;
    }
    struct pair *pair = of(*first);
    if (!strcmp(name, "call") || !strcmp(name, "faulty")) {
        ask_llm(pair, "", *name == 'f');
        answer_llm(pair);
    } else if (!strcmp(name, "huge") && second) {
        size_t length = strtoull(second, 0, 10);
        char *body = pages(length);
        memset(body, 'h', length);
        ask(pair, "PUT /blob", "", length);
        push(pair->client, pair->server, body, length);
        munmap(body, length);
        const char *empty = "HTTP/1.1 204 No Content\r\n\r\n";
        push(pair->server, pair->client, empty, strlen(empty));
    } else if (!strcmp(name, "stream")) {
        ask_llm(pair, "\"stream\":true,", 0);
        answer_chunked(pair, "text/event-stream");
        event(pair, CHOICE, "");
    } else if (!strcmp(name, "chunk")) {
        event(pair, CHOICE, "");
    } else if (!strcmp(name, "done")) {
        event(pair, "", ",\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":6,\"total_tokens\":11}");
        chunk(pair, "data: [DONE]\n\n", 14);
        push(pair->server, pair->client, "0\r\n\r\n", 5);
    } else if (!strcmp(name, "blob")) {
        ask(pair, "GET /blob", "", 0);
        answer_chunked(pair, "application/octet-stream");
    } else if (!strcmp(name, "bytes") && second) {
        blob(pair, strtoull(second, 0, 10));
    } else if (!strcmp(name, "until") && second) {
        while (!is_there(second)) blob(pair, BLOCK);
    } else if (!strcmp(name, "end")) {
        push(pair->server, pair->client, "0\r\n\r\n", 5);
    } else {
        fail(name);
    }
}

int main(int argc, char **argv) {
    if (argc < 5) return 2;
    if (!CRYPTO_set_mem_functions(get, get_anew, let_go)) fail("the library has memory already");
    client_context = SSL_CTX_new(TLS_client_method());
    server_context = SSL_CTX_new(TLS_server_method());
    SSL_CTX_ctrl(server_context, CTRL_MODE, RELEASE_BUFFERS, 0);
    if (SSL_CTX_use_certificate_file(server_context, argv[1], PEM) != 1) fail("no certificate");
    if (SSL_CTX_use_PrivateKey_file(server_context, argv[2], PEM) != 1) fail("no key");
    folder = argv[3];
    read_buffer = pages(RECORD);
    send_buffer = pages((BODY / PAGE + 1) * PAGE);
    for (int index = 4; index < argc; index++) step(argv[index]);
    for (int index = 0; index < 26; index++)
        if (pairs[index].client) SSL_free(pairs[index].client), SSL_free(pairs[index].server);
    printf("{\"passed\": %llu, \"gone\": [%llu, %llu]}\n", passed, gone_sent, gone_received);
    return 0;
}
