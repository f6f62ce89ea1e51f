# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False
"""The same read in Cython over hiredis's C reader, to show what a core in that language could do.

Everything between the ids and the matrix is C. Commands are written into one buffer, and the GIL is
released while sockets are used. hiredis's reader calls the functions below, which put each number
into its cell of the matrix, so no reply object is ever made. Numbers are parsed by the C library's
strtod, which is what a Cython programmer has at hand.
"""

from cpython.mem cimport PyMem_Free, PyMem_Malloc, PyMem_Realloc
from libc.errno cimport EINTR, errno
from libc.stdint cimport int64_t
from libc.stdio cimport snprintf
from libc.stdlib cimport strtod
from libc.string cimport memcpy, memset

import numpy as np


cdef extern from "sys/socket.h" nogil:
    ssize_t send(int fd, const void *data, size_t size, int flags)
    ssize_t recv(int fd, void *data, size_t size, int flags)
    enum: MSG_NOSIGNAL


cdef extern from "hiredis/read.h" nogil:
    enum: REDIS_REPLY_ERROR
    enum: REDIS_OK
    ctypedef struct redisReadTask:
        int type
        int idx
        redisReadTask *parent
        void *privdata
    ctypedef struct redisReplyObjectFunctions:
        void *createString
        void *createArray
        void *createInteger
        void *createNil
        void *freeObject
    ctypedef struct redisReader:
        void *privdata
        size_t maxbuf
    redisReader *redisReaderCreateWithFunctions(redisReplyObjectFunctions *functions)
    void redisReaderFree(redisReader *reader)
    int redisReaderFeed(redisReader *reader, const char *data, size_t size)
    int redisReaderGetReply(redisReader *reader, void **reply)


# The matrix that the callbacks fill. hiredis hands the reader's `privdata` to each task.
cdef struct Target:
    double *values
    Py_ssize_t columns
    Py_ssize_t row
    int wrong


# hiredis takes any pointer other than NULL as a reply object.
cdef void *SOMETHING = <void *>1
cdef double NAN = float("nan")


cdef void *on_string(const redisReadTask *task, char *text, size_t size) noexcept nogil:
    cdef Target *target = <Target *>task.privdata
    cdef char *end
    if task.type == REDIS_REPLY_ERROR or task.parent == NULL:
        target.wrong = 1
    elif task.idx < target.columns:
        # Each bulk string is followed by CRLF in the reader's buffer, where strtod stops.
        target.values[target.row * target.columns + task.idx] = strtod(text, &end)
        if end != text + size:
            target.wrong = 1
    return SOMETHING


cdef void *on_array(const redisReadTask *task, size_t size) noexcept nogil:
    return SOMETHING


cdef void *on_integer(const redisReadTask *task, long long value) noexcept nogil:
    (<Target *>task.privdata).wrong = 1
    return SOMETHING


cdef void *on_nil(const redisReadTask *task) noexcept nogil:
    cdef Target *target = <Target *>task.privdata
    if task.parent != NULL and task.idx < target.columns:
        target.values[target.row * target.columns + task.idx] = NAN
    return SOMETHING


cdef void on_free(void *reply) noexcept nogil:
    pass


cdef redisReplyObjectFunctions functions
memset(&functions, 0, sizeof(functions))
functions.createString = <void *>on_string
functions.createArray = <void *>on_array
functions.createInteger = <void *>on_integer
functions.createNil = <void *>on_nil
functions.freeObject = <void *>on_free


cdef class Decoder:
    """Replies of HMGET, fed as bytes, into a float64 matrix."""

    cdef redisReader *reader
    cdef Target target
    cdef Py_ssize_t columns

    def __cinit__(self, Py_ssize_t columns):
        self.columns = columns
        self.reader = redisReaderCreateWithFunctions(&functions)
        if self.reader == NULL:
            raise MemoryError
        self.reader.privdata = &self.target

    def __dealloc__(self):
        if self.reader != NULL:
            redisReaderFree(self.reader)

    def decode(self, const unsigned char[::1] data, Py_ssize_t rows):
        """Return the matrix of `rows` whole replies."""
        values = self.begin(rows)
        cdef int status
        with nogil:
            status = self.feed(<const char *>&data[0], data.shape[0])
        self.check(status, rows)
        return values

    cdef object begin(self, Py_ssize_t rows):
        values = np.empty((rows, self.columns))
        cdef double[:, ::1] view = values
        self.target.values = &view[0, 0]
        self.target.columns = self.columns
        self.target.row = 0
        self.target.wrong = 0
        return values

    cdef int feed(self, const char *data, size_t size) noexcept nogil:
        cdef void *reply = NULL
        if redisReaderFeed(self.reader, data, size) != REDIS_OK:
            return -1
        while True:
            if redisReaderGetReply(self.reader, &reply) != REDIS_OK:
                return -1
            if reply == NULL:
                return 0
            self.target.row += 1

    cdef int check(self, int status, Py_ssize_t rows) except -1:
        if status != 0 or self.target.wrong or self.target.row != rows:
            raise ValueError("the replies are not rows of numbers")
        return 0


cdef class Client:
    """Ids in, matrix out, over a connected blocking socket."""

    cdef int fd
    cdef Decoder decoder
    cdef bytes head
    cdef bytes prefix
    cdef bytes suffix
    cdef char *out
    cdef size_t room
    cdef char buffer[65536]

    def __cinit__(self, int fd, bytes head, bytes prefix, bytes suffix, Py_ssize_t columns):
        self.fd = fd
        self.decoder = Decoder(columns)
        self.head = head
        self.prefix = prefix
        self.suffix = suffix
        self.room = 0
        self.out = NULL

    def __dealloc__(self):
        PyMem_Free(self.out)

    def get(self, list ids):
        cdef Py_ssize_t rows = len(ids)
        cdef size_t size = self.encode(ids)
        values = self.decoder.begin(rows)
        cdef int status
        with nogil:
            status = self.exchange(size, rows)
        self.decoder.check(status, rows)
        return values

    cdef size_t encode(self, list ids) except? 0:
        cdef size_t head = len(self.head), prefix = len(self.prefix), suffix = len(self.suffix)
        cdef size_t most = len(ids) * (head + prefix + suffix + 48)
        cdef const char *head_text = self.head
        cdef const char *prefix_text = self.prefix
        cdef const char *suffix_text = self.suffix
        cdef char digits[24]
        cdef char *at
        cdef size_t width
        cdef int64_t identifier
        if most > self.room:
            at = <char *>PyMem_Realloc(self.out, most)
            if at == NULL:
                raise MemoryError
            self.out, self.room = at, most
        at = self.out
        for identifier in ids:
            width = snprintf(digits, sizeof(digits), b"%lld", <long long>identifier)
            memcpy(at, head_text, head)
            at += head
            # `prefix` is the key up to and including its brace; the key ends with `}:v1`.
            at += snprintf(at, 24, b"$%zu\r\n", prefix + width + 4)
            memcpy(at, prefix_text, prefix)
            at += prefix
            memcpy(at, digits, width)
            at += width
            memcpy(at, suffix_text, suffix)
            at += suffix
        return at - self.out

    cdef int exchange(self, size_t size, Py_ssize_t rows) noexcept nogil:
        cdef ssize_t moved
        cdef size_t done = 0
        while done < size:
            moved = send(self.fd, self.out + done, size - done, MSG_NOSIGNAL)
            if moved < 0 and errno == EINTR:
                continue
            if moved <= 0:
                return -1
            done += moved
        while self.decoder.target.row < rows:
            moved = recv(self.fd, self.buffer, sizeof(self.buffer), 0)
            if moved < 0 and errno == EINTR:
                continue
            if moved <= 0:
                return -1
            if self.decoder.feed(self.buffer, moved) != 0:
                return -1
        return 0
