/* libsrtp's side of the SRTP benchmark: protects or opens packets in a loop of C.
 *
 * It is a shared object that the benchmark builds and calls, and takes the library by its path, so
 * that one loop measures both builds of libsrtp: Debian's, and the one inside pylibsrtp's wheel,
 * which only a Python process can load. The caller has called srtp_init, which a library takes once.
 */
#include <arpa/inet.h>
#include <dlfcn.h>
#include <srtp2/srtp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { RING = 256, ROOM = 2048, HEADER = 12, SSRC = 0x5ea1ca57, MAX_KEY = 64 };

/* The part of libsrtp that is used, from whichever library was named. */
struct functions {
    void (*set_rtp)(srtp_crypto_policy_t *, srtp_profile_t);
    void (*set_rtcp)(srtp_crypto_policy_t *, srtp_profile_t);
    unsigned (*key_length)(srtp_profile_t);
    unsigned (*salt_length)(srtp_profile_t);
    srtp_err_status_t (*create)(srtp_t *, const srtp_policy_t *);
    srtp_err_status_t (*dealloc)(srtp_t);
    srtp_err_status_t (*protect)(srtp_t, void *, int *);
    srtp_err_status_t (*unprotect)(srtp_t, void *, int *);
};

struct result {
    uint64_t packets;
    double cpu_seconds;
    uint8_t first_tail[16]; /* the end of the first protected packet */
};

static uint8_t ring[RING][ROOM];
static int lengths[RING];

static void *library;

static void *symbol(const char *name, int *missing) {
    void *found = dlsym(library, name);
    *missing |= found == NULL;
    return found;
}

static int resolve(const char *path, struct functions *f) {
    int missing = 0;
    library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (library == NULL) {
        fprintf(stderr, "%s\n", dlerror());
        return -1;
    }
    f->set_rtp = symbol("srtp_crypto_policy_set_from_profile_for_rtp", &missing);
    f->set_rtcp = symbol("srtp_crypto_policy_set_from_profile_for_rtcp", &missing);
    f->key_length = symbol("srtp_profile_get_master_key_length", &missing);
    f->salt_length = symbol("srtp_profile_get_master_salt_length", &missing);
    f->create = symbol("srtp_create", &missing);
    f->dealloc = symbol("srtp_dealloc", &missing);
    f->protect = symbol("srtp_protect", &missing);
    f->unprotect = symbol("srtp_unprotect", &missing);
    return missing ? -1 : 0;
}

static double cpu_seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static srtp_err_status_t session(
    const struct functions *f, srtp_profile_t profile, srtp_ssrc_type_t type, unsigned long window,
    srtp_t *made) {
    /* The same key for every side of the benchmark: 0, 1, 2, … and a salt of 100, 101, … */
    static uint8_t key[MAX_KEY];
    unsigned key_length = f->key_length(profile), salt_length = f->salt_length(profile);
    srtp_policy_t policy;
    for (unsigned i = 0; i < key_length; i++) key[i] = (uint8_t)i;
    for (unsigned i = 0; i < salt_length; i++) key[key_length + i] = (uint8_t)(100 + i);
    memset(&policy, 0, sizeof policy);
    f->set_rtp(&policy.rtp, profile);
    f->set_rtcp(&policy.rtcp, profile);
    policy.ssrc.type = type;
    policy.key = key;
    policy.window_size = window;
    return f->create(made, &policy);
}

static void lay_out(int length, uint16_t first_sequence) {
    for (int i = 0; i < RING; i++) {
        uint16_t sequence = htons((uint16_t)(first_sequence + i));
        uint32_t ssrc = htonl(SSRC);
        memset(ring[i], 0, HEADER);
        ring[i][0] = 0x80;
        ring[i][1] = 96;
        memcpy(ring[i] + 2, &sequence, 2);
        memcpy(ring[i] + 8, &ssrc, 4);
        for (int at = HEADER; at < length; at++) ring[i][at] = (uint8_t)at;
        lengths[i] = length;
    }
}

static srtp_err_status_t pass(srtp_err_status_t (*step)(srtp_t, void *, int *), srtp_t context) {
    for (int i = 0; i < RING; i++) {
        srtp_err_status_t status = step(context, ring[i], &lengths[i]);
        if (status != srtp_err_status_ok) return status;
    }
    return srtp_err_status_ok;
}

/* Fills `out` after at least `seconds` of measured CPU time; 0, -1 if the library could not be
 * used, else libsrtp's status. Packets are made, and for opening also protected, outside of the
 * measured time; none is opened twice. */
int measure(
    const char *path, int profile, int unprotect, int length, unsigned long window, double seconds,
    struct result *out) {
    struct functions f;
    srtp_t sender, receiver;
    uint16_t sequence = 1;
    int status;

    memset(out, 0, sizeof *out);
    if (length <= HEADER || length + SRTP_MAX_TRAILER_LEN > ROOM || resolve(path, &f) != 0)
        return -1;
    if ((status = session(&f, (srtp_profile_t)profile, ssrc_any_outbound, window, &sender)) != 0)
        return status;
    if ((status = session(&f, (srtp_profile_t)profile, ssrc_any_inbound, window, &receiver)) != 0)
        return status;

    while (out->cpu_seconds < seconds) {
        double start;
        lay_out(length, sequence);
        sequence = (uint16_t)(sequence + RING);
        start = cpu_seconds();
        if ((status = pass(f.protect, sender)) != 0) return status;
        if (out->packets == 0) memcpy(out->first_tail, ring[0] + lengths[0] - 16, 16);
        if (unprotect) {
            start = cpu_seconds();
            if ((status = pass(f.unprotect, receiver)) != 0) return status;
        }
        out->cpu_seconds += cpu_seconds() - start;
        out->packets += RING;
    }
    f.dealloc(sender);
    f.dealloc(receiver);
    return lengths[0] == length || !unprotect ? 0 : -1;
}
