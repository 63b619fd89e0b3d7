/* One LLM call by OpenSSL with nothing around it, at once.
 *
 * usage: call PORT N [SECONDS|/FILE]     waits first if told so, for a file to be there; prints the
 *                                       response's body
 *
 * Built with -DLATE it opens the library with dlopen first; otherwise it is linked to it. The
 * functions are declared here: the library's headers need not be installed.
 */
#include <arpa/inet.h>
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#ifdef LATE
static void *library;
#define FUNCTION(result, name, ...) static result (*name)(__VA_ARGS__)
#define FIND(name) *(void **)&name = dlsym(library, #name)
#else
#define FUNCTION(result, name, ...) result name(__VA_ARGS__)
#define FIND(name)
#endif

FUNCTION(void *, TLS_client_method, void);
FUNCTION(void *, SSL_CTX_new, void *);
FUNCTION(void *, SSL_new, void *);
FUNCTION(int, SSL_set_fd, void *, int);
FUNCTION(int, SSL_connect, void *);
FUNCTION(int, SSL_write, void *, const void *, int);
FUNCTION(int, SSL_read, void *, void *, int);
FUNCTION(int, SSL_shutdown, void *);
FUNCTION(void, SSL_free, void *);

static void open_library(void) {
#ifdef LATE
    library = dlopen("libssl.so.3", RTLD_NOW);
    if (!library) {
        fprintf(stderr, "%s\n", dlerror());
        exit(1);
    }
#endif
    FIND(TLS_client_method);
    FIND(SSL_CTX_new);
    FIND(SSL_new);
    FIND(SSL_set_fd);
    FIND(SSL_connect);
    FIND(SSL_write);
    FIND(SSL_read);
    FIND(SSL_shutdown);
    FIND(SSL_free);
}

static int connect_to(int port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0) {
        perror("connect");
        exit(1);
    }
    return fd;
}

static void wait_for(const char *what) {
    if (*what != '/') sleep((unsigned)atoi(what));
    else while (access(what, F_OK) != 0) usleep(10000);
}

int main(int argc, char **argv) {
    if (argc < 3) return 2;
    if (argc > 3) wait_for(argv[3]);
    const char *body = "{\"model\":\"model-c\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}";
    char request[1024];
    int length = snprintf(request, sizeof request,
                          "POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\n"
                          "content-type: application/json\r\nconnection: close\r\n"
                          "x-test: {\"id\":\"c%s\",\"n\":%s}\r\ncontent-length: %zu\r\n\r\n%s",
                          argv[2], argv[2], strlen(body), body);
    int fd = connect_to(atoi(argv[1]));
    open_library();
    void *tls = SSL_new(SSL_CTX_new(TLS_client_method()));
    SSL_set_fd(tls, fd);
    if (SSL_connect(tls) != 1 || SSL_write(tls, request, length) != length) return 1;
    char response[65536];
    int have = 0, got;
    while ((got = SSL_read(tls, response + have, (int)sizeof response - 1 - have)) > 0) have += got;
    response[have] = 0;
    char *end_of_head = strstr(response, "\r\n\r\n");
    if (!end_of_head) return 1;
    puts(end_of_head + 4);
    SSL_shutdown(tls);
    SSL_free(tls);
    close(fd);
    return 0;
}
