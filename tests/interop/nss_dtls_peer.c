/* A DTLS-SRTP peer on NSS, the TLS library of Firefox.

   Does: one handshake over UDP on loopback as client or server, with a certificate from a database
   on both sides, exactly one DTLS version, and use_srtp with any profiles; prints what was agreed
   and the keying material of the DTLS-SRTP exporter; then leaves, or stays until the peer does.

   Does not: judge the peer's certificate. It prints the digest, and the test compares.

   usage: nss_dtls_peer client|server PORT DATABASE NICKNAME 1.2|1.3 PROFILE[,PROFILE...] leave|stay
   PORT 0 as server takes one of the kernel's. PROFILE is a registered number (RFC 5764 section
   4.1.2), best first. Each line of output is NAME=VALUE. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cert.h>
#include <keyhi.h>
#include <nspr.h>
#include <nss.h>
#include <pk11pub.h>
#include <ssl.h>
#include <sslexp.h>
#include <sslproto.h>

enum {
    USE_SRTP = 14,     /* RFC 5764 section 9 */
    MAX_PROFILES = 8,
    PATIENCE_S = 20,
};

struct peer {
    PRBool is_server;
    PRBool is_1_3;
    PRUint16 profiles[MAX_PROFILES];
    unsigned profile_count;
    PRUint16 chosen;
};

static void put16(PRUint8 *at, unsigned value)
{
    at[0] = (PRUint8)(value >> 8);
    at[1] = (PRUint8)value;
}

static unsigned get16(const PRUint8 *at)
{
    return (unsigned)at[0] << 8 | at[1];
}

static void print_hex(const char *name, const unsigned char *octets, unsigned len)
{
    printf("%s=", name);
    for (unsigned i = 0; i < len; i++)
        printf("%02x", octets[i]);
    putchar('\n');
}

static int fail(const char *what)
{
    printf("failed=%s: %s\n", what, PR_ErrorToName(PR_GetError()));
    return 1;
}

/* NSS's own use_srtp knows the profiles of RFC 5764 only, so the extension is written here, as
   Firefox does: a list of profiles with its length, then an empty MKI (RFC 5764 section 4.1.1). */
static PRBool write_use_srtp(PRFileDesc *socket, SSLHandshakeType message, PRUint8 *data,
                             unsigned *len, unsigned max_len, void *arg)
{
    const struct peer *peer = arg;
    (void)socket;
    if (!peer->is_server && message == ssl_hs_client_hello) {
        unsigned list_len = 2 * peer->profile_count;
        if (max_len < list_len + 3)
            return PR_FALSE;
        put16(data, list_len);
        for (unsigned i = 0; i < peer->profile_count; i++)
            put16(data + 2 + 2 * i, peer->profiles[i]);
        data[2 + list_len] = 0;
        *len = list_len + 3;
        return PR_TRUE;
    }
    /* The answer stands where the version has it: RFC 8446 section 4.2. */
    SSLHandshakeType place = peer->is_1_3 ? ssl_hs_encrypted_extensions : ssl_hs_server_hello;
    if (peer->is_server && message == place && peer->chosen != 0 && max_len >= 5) {
        put16(data, 2);
        put16(data + 2, peer->chosen);
        data[4] = 0;
        *len = 5;
        return PR_TRUE;
    }
    return PR_FALSE;
}

static SECStatus read_use_srtp(PRFileDesc *socket, SSLHandshakeType message, const PRUint8 *data,
                               unsigned len, SSLAlertDescription *alert, void *arg)
{
    struct peer *peer = arg;
    (void)socket;
    (void)message;
    (void)alert;
    if (len < 2 || get16(data) + 2 > len)
        return SECFailure;
    unsigned end = 2 + get16(data);
    for (unsigned i = 0; i < peer->profile_count && peer->chosen == 0; i++)
        for (unsigned at = 2; at + 2 <= end; at += 2)
            if (get16(data + at) == peer->profiles[i])
                peer->chosen = peer->profiles[i];
    return SECSuccess;
}

static SECStatus show_certificate(void *arg, PRFileDesc *socket, PRBool check, PRBool is_server)
{
    unsigned char digest[32];
    CERTCertificate *certificate = SSL_PeerCertificate(socket);
    (void)arg;
    (void)check;
    (void)is_server;
    if (certificate == NULL)
        return SECFailure;
    if (PK11_HashBuf(SEC_OID_SHA256, digest, certificate->derCert.data,
                     (PRInt32)certificate->derCert.len) == SECSuccess)
        print_hex("peer_sha256", digest, sizeof digest);
    CERT_DestroyCertificate(certificate);
    return SECSuccess;
}

/* A server learns its peer from the first datagram, which stays in the queue for NSS. */
static PRStatus meet(PRFileDesc *udp, PRBool is_server, unsigned port)
{
    PRNetAddr address;
    char peeked;
    if (PR_InitializeNetAddr(PR_IpAddrLoopback, (PRUint16)port, &address) != PR_SUCCESS)
        return PR_FAILURE;
    if (!is_server)
        return PR_Connect(udp, &address, PR_INTERVAL_NO_TIMEOUT);
    if (PR_Bind(udp, &address) != PR_SUCCESS || PR_GetSockName(udp, &address) != PR_SUCCESS)
        return PR_FAILURE;
    printf("port=%u\n", PR_ntohs(address.inet.port));
    if (PR_RecvFrom(udp, &peeked, 1, PR_MSG_PEEK, &address, PR_SecondsToInterval(PATIENCE_S)) < 0)
        return PR_FAILURE;
    return PR_Connect(udp, &address, PR_INTERVAL_NO_TIMEOUT);
}

/* Without blocking, so that NSS's retransmission timer runs. */
static SECStatus shake_hands(PRFileDesc *dtls)
{
    PRIntervalTime began = PR_IntervalNow();
    while (SSL_ForceHandshake(dtls) != SECSuccess) {
        PRPollDesc readable = {dtls, PR_POLL_READ, 0};
        PRIntervalTime timer;
        if (PR_GetError() != PR_WOULD_BLOCK_ERROR
            || PR_IntervalNow() - began > PR_SecondsToInterval(PATIENCE_S))
            return SECFailure;
        if (DTLS_GetHandshakeTimeout(dtls, &timer) != SECSuccess)
            timer = PR_MillisecondsToInterval(100);
        PR_Poll(&readable, 1, timer > 0 ? timer : 1);
    }
    return SECSuccess;
}

/* Both directions' keys and salts: RFC 5764 section 4.1.2, RFC 7714 section 12. */
static unsigned material_len(unsigned profile)
{
    switch (profile) {
    case 1:
    case 2:
        return 2 * (16 + 14);
    case 7:
        return 2 * (16 + 12);
    case 8:
        return 2 * (32 + 12);
    default:
        return 0;
    }
}

static int report(PRFileDesc *dtls, const struct peer *peer)
{
    static const char label[] = "EXTRACTOR-dtls_srtp";
    unsigned char material[128];
    SSLChannelInfo info;
    unsigned len = material_len(peer->chosen);
    if (SSL_GetChannelInfo(dtls, &info, sizeof info) != SECSuccess)
        return fail("channel info");
    printf("version=%04x\n", info.protocolVersion);
    printf("cipher=%04x\n", info.cipherSuite);
    printf("group=%u\n", (unsigned)info.keaGroup);
    printf("profile=%u\n", (unsigned)peer->chosen);
    printf("nss=%s\n", NSS_GetVersion());
    if (len == 0)
        return 0;
    if (SSL_ExportKeyingMaterial(dtls, label, sizeof label - 1, PR_FALSE, NULL, 0, material, len)
        != SECSuccess)
        return fail("export");
    print_hex("material", material, len);
    return 0;
}

/* Reads until the peer closes; NSS answers repeated flights meanwhile. */
static void await_close(PRFileDesc *dtls)
{
    PRIntervalTime began = PR_IntervalNow();
    while (PR_IntervalNow() - began < PR_SecondsToInterval(PATIENCE_S)) {
        char octets[2048];
        PRPollDesc readable = {dtls, PR_POLL_READ, 0};
        PRInt32 len = PR_Recv(dtls, octets, sizeof octets, 0, PR_INTERVAL_NO_WAIT);
        if (len == 0) {
            puts("closed=yes");
            return;
        }
        if (len < 0 && PR_GetError() != PR_WOULD_BLOCK_ERROR) {
            printf("closed=%s\n", PR_ErrorToName(PR_GetError()));
            return;
        }
        PR_Poll(&readable, 1, PR_MillisecondsToInterval(50));
    }
}

static int present(PRFileDesc *dtls, const struct peer *peer, char *nickname)
{
    CERTCertificate *certificate = PK11_FindCertFromNickname(nickname, NULL);
    SECKEYPrivateKey *key = certificate ? PK11_FindKeyByAnyCert(certificate, NULL) : NULL;
    SECStatus done;
    if (key == NULL)
        return fail("no certificate with a key");
    if (peer->is_server) {
        SSL_OptionSet(dtls, SSL_REQUEST_CERTIFICATE, PR_TRUE);
        SSL_OptionSet(dtls, SSL_REQUIRE_CERTIFICATE, SSL_REQUIRE_ALWAYS);
        done = SSL_ConfigServerCert(dtls, certificate, key, NULL, 0);
    } else {
        SSL_SetURL(dtls, "peer.example");
        done = SSL_GetClientAuthDataHook(dtls, NSS_GetClientAuthData, nickname);
    }
    SECKEY_DestroyPrivateKey(key);
    CERT_DestroyCertificate(certificate);
    return done == SECSuccess ? 0 : fail("certificate");
}

int main(int argc, char **argv)
{
    struct peer peer = {0};
    if (argc != 8) {
        puts("failed=seven arguments are needed");
        return 2;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    peer.is_server = strcmp(argv[1], "server") == 0;
    peer.is_1_3 = strcmp(argv[5], "1.3") == 0;
    for (char *number = strtok(argv[6], ","); number != NULL && peer.profile_count < MAX_PROFILES;
         number = strtok(NULL, ","))
        peer.profiles[peer.profile_count++] = (PRUint16)atoi(number);

    if (NSS_Init(argv[3]) != SECSuccess || NSS_SetDomesticPolicy() != SECSuccess)
        return fail("NSS_Init");
    PRFileDesc *udp = PR_NewUDPSocket();
    if (udp == NULL || meet(udp, peer.is_server, (unsigned)atoi(argv[2])) != PR_SUCCESS)
        return fail("socket");
    PRFileDesc *dtls = DTLS_ImportFD(NULL, udp);
    if (dtls == NULL)
        return fail("DTLS_ImportFD");
    PRUint16 version = peer.is_1_3 ? SSL_LIBRARY_VERSION_TLS_1_3 : SSL_LIBRARY_VERSION_TLS_1_2;
    SSLVersionRange range = {version, version};
    PRSocketOptionData unblocked = {.option = PR_SockOpt_Nonblocking, .value.non_blocking = PR_TRUE};
    SSL_OptionSet(dtls, SSL_SECURITY, PR_TRUE);
    SSL_OptionSet(dtls, SSL_HANDSHAKE_AS_CLIENT, !peer.is_server);
    SSL_OptionSet(dtls, SSL_HANDSHAKE_AS_SERVER, peer.is_server);
    SSL_OptionSet(dtls, SSL_ENABLE_EXTENDED_MASTER_SECRET, PR_TRUE);
    /* A server of 1.2 would store its session in a cache that nobody has made. */
    SSL_OptionSet(dtls, SSL_NO_CACHE, PR_TRUE);
    if (SSL_VersionRangeSet(dtls, &range) != SECSuccess
        || SSL_InstallExtensionHooks(dtls, USE_SRTP, write_use_srtp, &peer, read_use_srtp, &peer)
               != SECSuccess
        || SSL_AuthCertificateHook(dtls, show_certificate, NULL) != SECSuccess)
        return fail("set-up");
    if (present(dtls, &peer, argv[4]) != 0)
        return 1;
    if (SSL_ResetHandshake(dtls, peer.is_server) != SECSuccess
        || PR_SetSocketOption(dtls, &unblocked) != PR_SUCCESS)
        return fail("begin");
    if (shake_hands(dtls) != SECSuccess)
        return fail("handshake");
    if (report(dtls, &peer) != 0)
        return 1;
    if (strcmp(argv[7], "stay") == 0)
        await_close(dtls);
    PR_Close(dtls); /* sends close_notify */
    return 0;
}
