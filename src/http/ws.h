/*
 * ws.h - the WebSocket protocol (RFC 6455), the client's side of it.
 *
 * Purpose    Bytes to messages and back: the opening handshake, frames,
 *            fragments, control frames, the closing handshake. No extension is
 *            offered, so none may be used. Does no I/O; whoever has the
 *            connection reads and writes.
 * Bounds     A message above the ceiling is told once, as soon as it is known
 * to be one, and passed over. Control frames have 125 bytes at most; the answer
 * to the handshake FLV_WS_HEAD_MAX. Threads    No sharing; no I/O. Ownership  A
 * reader owns its buffers; what it returns is borrowed from it until the next
 * call. Writers append to the caller's buffer. Errors     FLV_E_PROTOCOL: the
 * peer broke the standard; close_code of the reader is what it has to be told.
 * FLV_E_NOMEM. FLV_E_USAGE for settings, in the check functions. See
 * tests/unit/http/test_ws.c, tests/fuzz/fuzz_ws.c
 */
#ifndef FLV_HTTP_WS_H
#define FLV_HTTP_WS_H

#include "base/bytes.h"

/* --- the opening handshake -------------------------------------------------
 */

#define FLV_WS_KEY_SIZE 25 /* base 64 of 16 bytes, and NUL */
#define FLV_WS_HEAD_MAX ((size_t)16 * 1024)
#define FLV_WS_HOST_MAX 256
#define FLV_WS_TARGET_MAX 4096
#define FLV_WS_USER_MAX 512

struct flv_ws_url {
    bool tls;
    char host[FLV_WS_HOST_MAX]; /* for the connection: without brackets */
    uint16_t port;
    char authority[FLV_WS_HOST_MAX + 8]; /* of the Host header */
    char target[FLV_WS_TARGET_MAX];      /* path and query */
    char user[FLV_WS_USER_MAX];          /* "user:password"; "" for none */
};

bool flv_ws_is_url(const char *url); /* begins with ws:// or wss:// */
/* ws://[user:password@]host[:port][/path][?query]; ports 80 and 443. The text
 * of an error has neither password nor query in it. */
FLV_CHECKED flv_rc flv_ws_url_read(const char *url,
                                   struct flv_ws_url *out,
                                   struct flv_err *err);
/* Is it a header that may be added? Those of the handshake itself are not,
 * but Sec-WebSocket-Protocol is. */
FLV_CHECKED flv_rc flv_ws_header_check(const char *header, struct flv_err *err);

/* A new random key for each connection. */
void flv_ws_key(char out[FLV_WS_KEY_SIZE]);
/* "Name: value" each; ends with NULL, or is NULL. user_agent may be NULL. */
FLV_CHECKED flv_rc flv_ws_put_request(struct flv_buf *b,
                                      const struct flv_ws_url *url,
                                      const char *key,
                                      const char *user_agent,
                                      const char *const *headers);

struct flv_ws_answer {
    size_t size; /* of its bytes; what follows is frames; 0: not whole yet */
    unsigned status; /* 101: the connection is a WebSocket now */
    char reason[64];
    char location[128];     /* of a redirect, without its query; or "" */
    uint64_t retry_after_s; /* 0: none was given */
};

/* Reads what came so far. FLV_E_PROTOCOL: no HTTP, or a 101 that does not
 * prove that our request was understood. */
FLV_CHECKED flv_rc flv_ws_read_answer(struct flv_slice bytes,
                                      const char *key,
                                      const char *const *headers,
                                      struct flv_ws_answer *out,
                                      struct flv_err *err);

/* --- frames ----------------------------------------------------------------
 */

enum flv_ws_op {
    FLV_WS_CONTINUATION = 0,
    FLV_WS_TEXT = 1,
    FLV_WS_BINARY = 2,
    FLV_WS_CLOSE = 8,
    FLV_WS_PING = 9,
    FLV_WS_PONG = 10,
};

/* Codes of a close. */
enum {
    FLV_WS_NORMAL = 1000,
    FLV_WS_GOING_AWAY = 1001,
    FLV_WS_PROTOCOL_ERROR = 1002,
    FLV_WS_NO_CODE = 1005, /* the close had none; never sent */
    FLV_WS_NOT_UTF8 = 1007,
    FLV_WS_TOO_BIG = 1009,
};

#define FLV_WS_CONTROL_MAX 125

/* Appends one whole frame, masked with a new mask. */
FLV_CHECKED flv_rc flv_ws_put(struct flv_buf *b,
                              enum flv_ws_op op,
                              struct flv_slice payload);
/* A close with its code. */
FLV_CHECKED flv_rc flv_ws_put_close(struct flv_buf *b, uint16_t code);

enum flv_ws_piece {
    FLV_WS_NONE,      /* all bytes were taken, more have to come */
    FLV_WS_MESSAGE,   /* text (valid UTF-8) or binary */
    FLV_WS_OVERSIZED, /* a message above the ceiling; it is passed over */
    FLV_WS_CONTROL,   /* ping, pong or close */
};

struct flv_ws_event {
    enum flv_ws_op op;
    struct flv_slice payload; /* of a close: its reason */
    uint16_t close_code;      /* of a close; FLV_WS_NO_CODE */
};

struct flv_ws_reader {
    size_t message_max;
    uint8_t head[10]; /* of the frame, as far as it came */
    size_t head_len;
    bool in_frame; /* the head is whole; `left` bytes of payload follow */
    bool fin;
    enum flv_ws_op op; /* of the frame */
    uint64_t left;     /* of its payload */
    bool in_message;   /* fragments of one came already */
    enum flv_ws_op message_op;
    uint64_t message_size;  /* so far, the frame under way included */
    bool oversized;         /* the message; it was told */
    struct flv_buf message; /* as far as it is kept */
    struct flv_buf control;
    bool given;          /* the message was returned */
    bool closed;         /* a close came: nothing may follow */
    uint16_t close_code; /* after FLV_E_PROTOCOL */
};

void flv_ws_reader_init(struct flv_ws_reader *r, size_t message_max);
void flv_ws_reader_deinit(struct flv_ws_reader *r);
/* A new connection. */
void flv_ws_reader_reset(struct flv_ws_reader *r);

/* Takes bytes off the front of *in until something is whole. After an error,
 * and after a close, nothing more is to be read. */
FLV_CHECKED flv_rc flv_ws_read(struct flv_ws_reader *r,
                               struct flv_slice *in,
                               enum flv_ws_piece *out_piece,
                               struct flv_ws_event *out,
                               struct flv_err *err);

#endif
