/* NSS as a judge of one chain of certificates.

   Does: asks what SSL_AuthCertificate asks of a peer's chain: CERT_VerifyCertificateNow below one
   trusted root and, if a host is named, CERT_VerifyCertName. Exit code 0 is a yes; a no has NSS's
   name for it on standard output.

   Does not: keep anything: no database, no revocation, no network.

   usage: nss_judge client|server HOST|- ROOT.der LEAF.der [BETWEEN.der ...] */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cert.h>
#include <nspr.h>
#include <nss.h>

enum { MAX_CERTIFICATE = 1 << 20 };

static int refused(const char *what)
{
    const char *name = PR_ErrorToName(PORT_GetError());
    printf("%s: %s\n", what, name ? name : "no reason given");
    return 1;
}

static CERTCertificate *read_certificate(const char *path)
{
    static unsigned char octets[MAX_CERTIFICATE];
    FILE *file = fopen(path, "rb");
    SECItem der = { siBuffer, octets, 0 };
    if (!file)
        return NULL;
    der.len = (unsigned)fread(octets, 1, sizeof octets, file);
    fclose(file);
    return CERT_NewTempCertificate(CERT_GetDefaultCertDB(), &der, NULL, PR_FALSE, PR_TRUE);
}

int main(int count, char **words)
{
    if (count < 5) {
        fprintf(stderr, "usage: nss_judge client|server HOST|- ROOT LEAF [BETWEEN ...]\n");
        return 2;
    }
    PRBool is_server = strcmp(words[1], "server") == 0;
    if (NSS_NoDB_Init(NULL) != SECSuccess)
        return 2;
    CERTCertificate *root = read_certificate(words[3]);
    CERTCertTrust trust = { 0, 0, 0 };
    /* C: issues servers' certificates, T: issues clients'. */
    if (!root)
        return refused("the root");
    if (CERT_DecodeTrustString(&trust, "CT,,") != SECSuccess
        || CERT_ChangeCertTrust(CERT_GetDefaultCertDB(), root, &trust) != SECSuccess)
        return 2;
    CERTCertificate *leaf = read_certificate(words[4]);
    if (!leaf)
        return refused("the leaf");
    /* Those between stay alive, unused by name: NSS finds issuers among what it holds. One that
       it cannot read is as good as missing. */
    for (int i = 5; i < count; i++)
        (void)read_certificate(words[i]);
    SECCertificateUsage usage =
        is_server ? certificateUsageSSLServer : certificateUsageSSLClient;
    if (CERT_VerifyCertificateNow(CERT_GetDefaultCertDB(), leaf, PR_TRUE, usage, NULL, NULL)
        != SECSuccess)
        return refused("the chain");
    if (strcmp(words[2], "-") != 0 && CERT_VerifyCertName(leaf, words[2]) != SECSuccess)
        return refused("the name");
    return 0;
}
