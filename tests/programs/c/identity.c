/* Calls by OpenSSL that share, hand over, copy or reuse TLS objects: one case a run.
 *
 * usage: identity CASE PORT     CASE: see `cases` below
 *
 * The server is mixed_server: the header `x-plan` says what it answers. Every call has a number of
 * its own, which stands in request and answer; a case that gets another's answer fails.
 */
#include <arpa/inet.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* Declared here: the library's headers need not be installed. */
void *TLS_client_method(void);
void *SSL_CTX_new(void *);
void *SSL_new(void *);
int SSL_set_fd(void *, int);
int SSL_get_fd(void *);
int SSL_connect(void *);
int SSL_write(void *, const void *, int);
int SSL_read(void *, void *, int);
int SSL_get_error(void *, int);
int SSL_shutdown(void *);
int SSL_clear(void *);
int SSL_up_ref(void *);
void SSL_free(void *);

static void *context;
static int port;
static char *self;

static void check(int holds, const char *what) {
    if (holds) return;
    fprintf(stderr, "identity: %s\n", what);
    _exit(1);
}

static int connect_to(void) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    check(connect(fd, (struct sockaddr *)&address, sizeof address) == 0, "no connection");
    return fd;
}

static void handshake(void *tls) {
    SSL_set_fd(tls, connect_to());
    check(SSL_connect(tls) == 1, "no handshake");
}

static void *open_connection(void) {
    void *tls = SSL_new(context);
    handshake(tls);
    return tls;
}

/* The descriptor is closed first: nothing is sent that would end the connection for a copy. */
static void drop(void *tls) {
    close(SSL_get_fd(tls));
    SSL_free(tls);
}

static int request(char *text, size_t size, int number) {
    char body[256];
    int length = snprintf(body, sizeof body,
                          "{\"model\":\"model-%d\",\"max_tokens\":%d,\"user\":\"i%dx\",\"messages\":"
                          "[{\"role\":\"user\",\"content\":\"hi\"}]}",
                          number % 5, number, number);
    return snprintf(text, size,
                    "POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\n"
                    "content-type: application/json\r\n"
                    "x-plan: {\"id\":\"i%dx\",\"number\":%d,\"form\":\"chat\",\"status\":200,"
                    "\"pieces\":1,\"size\":9,\"coding\":\"identity\",\"hangs\":false}\r\n"
                    "content-length: %d\r\n\r\n%s",
                    number, number, length, body);
}

static void ask(void *tls, int number) {
    char text[1024];
    int length = request(text, sizeof text, number);
    check(SSL_write(tls, text, length) == length, "a request could not be written");
}

/* The answer has a Content-Length. */
static void take(void *tls, int number) {
    char text[4096], id[32];
    int have = 0, whole = 0;
    while (!whole || have < whole) {
        int got = SSL_read(tls, text + have, (int)sizeof text - 1 - have);
        check(got > 0, "an answer is missing");
        have += got;
        text[have] = 0;
        char *end = strstr(text, "\r\n\r\n"), *length = strstr(text, "content-length: ");
        if (end && length) whole = (int)(end + 4 - text) + atoi(length + 16);
    }
    snprintf(id, sizeof id, "chatcmpl-i%dx", number);
    check(strstr(text, id) != NULL, "another call's answer");
}

/* Until the server has logged the exchange: it does so before it answers. Nothing is read. */
static void await_answer(void *tls) {
    char byte;
    check(recv(SSL_get_fd(tls), &byte, 1, MSG_PEEK) == 1, "no answer");
}

static void call(void *tls, int number) {
    ask(tls, number);
    take(tls, number);
}

/* The tracer comes in the middle of a request, with another connection idle. */
static void late(void) {
    char text[1024], go;
    void *first = open_connection(), *second = open_connection();
    call(first, 1);
    call(second, 2);
    int length = request(text, sizeof text, 3);
    check(SSL_write(first, text, length / 2) == length / 2, "a request could not be written");
    puts("waiting");
    fflush(stdout);
    check(read(0, &go, 1) == 1, "no sign to go on");
    check(SSL_write(first, text + length / 2, length - length / 2) > 0, "not written");
    take(first, 3);
    call(first, 4);
    call(second, 5);
    drop(first);
    drop(second);
    first = open_connection();
    call(first, 6);
    drop(first);
}

static void wait_for(pid_t child) {
    int status;
    check(waitpid(child, &status, 0) == child && status == 0, "a child failed");
}

static void fork_child_goes_on(void) {
    void *tls = open_connection();
    call(tls, 1);
    ask(tls, 2);
    pid_t child = fork();
    if (child == 0) {
        take(tls, 2);
        call(tls, 3);
        drop(tls);
        _exit(0);
    }
    wait_for(child);
    drop(tls);
}

static void fork_parent_goes_on(void) {
    void *tls = open_connection();
    call(tls, 1);
    ask(tls, 2);
    pid_t child = fork();
    if (child == 0) {
        drop(tls);
        void *own = open_connection();
        call(own, 3);
        drop(own);
        _exit(0);
    }
    wait_for(child);
    take(tls, 2);
    call(tls, 4);
    drop(tls);
}

static void fork_both_close(void) {
    void *tls = open_connection();
    call(tls, 1);
    pid_t child = fork();
    if (child == 0) {
        drop(tls);
        _exit(0);
    }
    drop(tls);
    wait_for(child);
}

/* A connection whose object is at `place`, or else at an address that the allocator gives again. */
static void *open_where(void *place) {
    int given = place != NULL;
    for (int tries = 0; tries < 64; tries++) {
        void *tls = open_connection();
        if (tls == place) return tls;
        if (!given) place = tls;
        drop(tls);
    }
    check(0, "the allocator does not reuse the address");
    return NULL;
}

/* The parent makes another connection at the address of the one that the child goes on with. */
static void fork_address_reused(void) {
    int to_child[2], to_parent[2];
    char go = 0;
    check(pipe(to_child) == 0 && pipe(to_parent) == 0, "no pipe");
    void *tls = open_where(NULL), *other = NULL;
    call(tls, 1);
    pid_t child = fork();
    if (child == 0) {
        close(to_child[1]);
        check(read(to_child[0], &go, 1) == 1, "no parent");
        call(tls, 2);
        check(write(to_parent[1], &go, 1) == 1, "no parent");
        drop(tls);
        _exit(0);
    }
    drop(tls);
    other = open_where(tls);
    ask(other, 3);
    check(write(to_child[1], &go, 1) == 1 && read(to_parent[0], &go, 1) == 1, "no child");
    take(other, 3);
    drop(other);
    wait_for(child);
}

enum { THREADS = 3, STEPS = 402 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t stepped = PTHREAD_COND_INITIALIZER;
static int step;
static void *handed_on;

/* Even steps write, odd ones read, and each is made by another thread than the one before. */
static void *stepper(void *own) {
    pthread_mutex_lock(&lock);
    while (step < STEPS) {
        if (step % THREADS != *(int *)own) {
            pthread_cond_wait(&stepped, &lock);
            continue;
        }
        if (step % 2) take(handed_on, 1 + step / 2);
        else ask(handed_on, 1 + step / 2);
        step++;
        pthread_cond_broadcast(&stepped);
    }
    pthread_mutex_unlock(&lock);
    return NULL;
}

static void threads(void) {
    pthread_t workers[THREADS];
    int turns[THREADS];
    handed_on = open_connection();
    for (int i = 0; i < THREADS; i++) {
        turns[i] = i;
        pthread_create(&workers[i], NULL, stepper, &turns[i]);
    }
    for (int i = 0; i < THREADS; i++) pthread_join(workers[i], NULL);
    drop(handed_on);
}

static void reuse(void) {
    void *before = NULL;
    int same = 0;
    for (int number = 1; number <= 1000; number++) {
        void *tls = open_connection();
        same += tls == before;
        before = tls;
        call(tls, number);
        drop(tls);
    }
    check(same > 500, "the allocator does not reuse addresses");
}

static void clear(void) {
    void *tls = SSL_new(context);
    for (int number = 1; number <= 50; number++) {
        handshake(tls);
        call(tls, number);
        SSL_shutdown(tls);
        close(SSL_get_fd(tls));
        check(SSL_clear(tls) == 1, "not cleared");
    }
    SSL_free(tls);
}

/* A server that hangs up at once: the handshake fails, and the object is used for another try. */
static void clear_after_failure(void) {
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t length = sizeof address;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int listener = socket(AF_INET, SOCK_STREAM, 0), fd = socket(AF_INET, SOCK_STREAM, 0);
    check(bind(listener, (struct sockaddr *)&address, sizeof address) == 0, "no port");
    check(listen(listener, 1) == 0, "no port");
    getsockname(listener, (struct sockaddr *)&address, &length);
    /* What the library answers to nobody must not end the program. */
    signal(SIGPIPE, SIG_IGN);
    void *tls = SSL_new(context);
    SSL_up_ref(tls);
    check(connect(fd, (struct sockaddr *)&address, sizeof address) == 0, "no connection");
    close(accept(listener, NULL, NULL));
    SSL_set_fd(tls, fd);
    int failed = SSL_connect(tls), error = SSL_get_error(tls, failed);
    check(failed <= 0 && (error == 1 || error == 5), "a handshake with nobody");
    close(fd);
    check(SSL_clear(tls) == 1, "not cleared");
    handshake(tls);
    call(tls, 1);
    SSL_free(tls);
    call(tls, 2);
    ask(tls, 3);
    await_answer(tls);
    drop(tls);
}

/* The first program leaves an answer unread and its connection open. */
static void exec_again(void) {
    char text[16];
    void *tls = open_connection();
    call(tls, 1);
    ask(tls, 2);
    snprintf(text, sizeof text, "%d", port);
    execl(self, self, "executed", text, (char *)NULL);
    check(0, "not executed");
}

static void executed(void) {
    void *tls = open_connection();
    call(tls, 3);
    drop(tls);
}

static void reference(void) {
    void *tls = open_connection();
    call(tls, 1);
    check(SSL_up_ref(tls) == 1 && SSL_up_ref(tls) == 1, "no reference");
    ask(tls, 2);
    SSL_free(tls);
    take(tls, 2);
    call(tls, 3);
    SSL_free(tls);
    call(tls, 4);
    drop(tls);
    tls = open_connection();
    call(tls, 5);
    drop(tls);
}

static const struct {
    const char *name;
    void (*run)(void);
} cases[] = {
    {"late", late},
    {"fork-child", fork_child_goes_on},
    {"fork-parent", fork_parent_goes_on},
    {"fork-both", fork_both_close},
    {"fork-address", fork_address_reused},
    {"threads", threads},
    {"reuse", reuse},
    {"clear", clear},
    {"clear-after-failure", clear_after_failure},
    {"exec", exec_again},
    {"executed", executed},
    {"reference", reference},
};

int main(int argc, char **argv) {
    if (argc < 3) return 2;
    self = argv[0];
    port = atoi(argv[2]);
    context = SSL_CTX_new(TLS_client_method());
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        if (strcmp(cases[i].name, argv[1]) == 0) {
            cases[i].run();
            return 0;
        }
    }
    return 2;
}
