/* OpenSSL 3, loaded when the first one asks for it: a process without TLS pays nothing for it, neither at its start nor in
 * memory. Its headers give types and constants; its functions are called through the table, by their own names:
 *
 *     const struct openssl *o = openssl_load(err);
 *     SSL_CTX *ctx = o->SSL_CTX_new(o->TLS_method());
 *
 * A function that is wanted is one line in a list below; what OpenSSL itself makes a macro of (SSL_CTX_set_mode) is called
 * as what the macro calls (SSL_CTX_ctrl). Other layers include this header as io's, for the same reason.
 */
#ifndef IO_OPENSSL_API_H
#define IO_OPENSSL_API_H

#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

#include "base/error.h"

/* libssl.so.3 */
#define OPENSSL_SSL_FUNCTIONS(X)                                                                                       \
    X(OPENSSL_cipher_name)                                                                                             \
    X(SSL_CTX_check_private_key)                                                                                       \
    X(SSL_CTX_ctrl)                                                                                                    \
    X(SSL_CTX_free)                                                                                                    \
    X(SSL_CTX_get_cert_store)                                                                                          \
    X(SSL_CTX_load_verify_file)                                                                                        \
    X(SSL_CTX_new)                                                                                                     \
    X(SSL_CTX_set_alpn_protos)                                                                                         \
    X(SSL_CTX_set_alpn_select_cb)                                                                                      \
    X(SSL_CTX_set_cipher_list)                                                                                         \
    X(SSL_CTX_set_ciphersuites)                                                                                        \
    X(SSL_CTX_set_client_CA_list)                                                                                      \
    X(SSL_CTX_set_default_passwd_cb)                                                                                   \
    X(SSL_CTX_set_default_verify_paths)                                                                                \
    X(SSL_CTX_set_num_tickets)                                                                                         \
    X(SSL_CTX_set_options)                                                                                             \
    X(SSL_CTX_set_verify)                                                                                              \
    X(SSL_CTX_use_PrivateKey_file)                                                                                     \
    X(SSL_CTX_use_certificate_chain_file)                                                                              \
    X(SSL_ctrl)                                                                                                        \
    X(SSL_do_handshake)                                                                                                \
    X(SSL_free)                                                                                                        \
    X(SSL_get0_alpn_selected)                                                                                          \
    X(SSL_get0_param)                                                                                                  \
    X(SSL_get1_peer_certificate)                                                                                       \
    X(SSL_get_error)                                                                                                   \
    X(SSL_get_ex_data)                                                                                                 \
    X(SSL_get_ex_data_X509_STORE_CTX_idx)                                                                              \
    X(SSL_get_shutdown)                                                                                                \
    X(SSL_get_verify_result)                                                                                           \
    X(SSL_get_version)                                                                                                 \
    X(SSL_load_client_CA_file)                                                                                         \
    X(SSL_new)                                                                                                         \
    X(SSL_read_ex)                                                                                                     \
    X(SSL_set1_host)                                                                                                   \
    X(SSL_set_accept_state)                                                                                            \
    X(SSL_set_bio)                                                                                                     \
    X(SSL_set_connect_state)                                                                                           \
    X(SSL_set_ex_data)                                                                                                 \
    X(SSL_set_fd)                                                                                                      \
    X(SSL_shutdown)                                                                                                    \
    X(SSL_write_ex)                                                                                                    \
    X(TLS_method)

/* libcrypto.so.3 */
#define OPENSSL_CRYPTO_FUNCTIONS(X)                                                                                    \
    X(ASN1_INTEGER_cmp)                                                                                                \
    X(ASN1_STRING_get0_data)                                                                                           \
    X(ASN1_STRING_length)                                                                                              \
    X(ASN1_STRING_to_UTF8)                                                                                             \
    X(GENERAL_NAMES_free)                                                                                              \
    X(OPENSSL_sk_num)                                                                                                  \
    X(OPENSSL_sk_value)                                                                                                \
    X(X509_get_ext_d2i)                                                                                                \
    X(ASN1_TIME_diff)                                                                                                  \
    X(BIO_clear_flags)                                                                                                 \
    X(BIO_ctrl)                                                                                                        \
    X(BIO_free)                                                                                                        \
    X(BIO_get_data)                                                                                                    \
    X(BIO_meth_free)                                                                                                   \
    X(BIO_meth_new)                                                                                                    \
    X(BIO_meth_set_ctrl)                                                                                               \
    X(BIO_meth_set_read)                                                                                               \
    X(BIO_meth_set_write)                                                                                              \
    X(BIO_new)                                                                                                         \
    X(BIO_new_file)                                                                                                    \
    X(BIO_new_mem_buf)                                                                                                 \
    X(BIO_s_mem)                                                                                                       \
    X(BIO_set_data)                                                                                                    \
    X(BIO_set_flags)                                                                                                   \
    X(BIO_set_init)                                                                                                    \
    X(BN_free)                                                                                                         \
    X(BN_new)                                                                                                          \
    X(BN_rand)                                                                                                         \
    X(BN_to_ASN1_INTEGER)                                                                                              \
    X(CRYPTO_free)                                                                                                     \
    X(ERR_clear_error)                                                                                                 \
    X(ERR_get_error)                                                                                                   \
    X(ERR_peek_error)                                                                                                  \
    X(ERR_peek_last_error)                                                                                             \
    X(ERR_reason_error_string)                                                                                         \
    X(EVP_DigestFinal_ex)                                                                                              \
    X(EVP_DigestInit_ex)                                                                                               \
    X(EVP_DigestUpdate)                                                                                                \
    X(EVP_MD_CTX_free)                                                                                                 \
    X(EVP_MD_CTX_new)                                                                                                  \
    X(EVP_PKEY_Q_keygen)                                                                                               \
    X(EVP_PKEY_free)                                                                                                   \
    X(EVP_sha256)                                                                                                      \
    X(PEM_read_bio_X509)                                                                                               \
    X(PEM_read_bio_X509_CRL)                                                                                           \
    X(PEM_write_bio_PrivateKey)                                                                                        \
    X(PEM_write_bio_X509)                                                                                              \
    X(X509V3_EXT_conf_nid)                                                                                             \
    X(X509V3_set_ctx)                                                                                                  \
    X(X509_CRL_free)                                                                                                   \
    X(X509_CRL_get0_by_cert)                                                                                           \
    X(X509_CRL_get_issuer)                                                                                             \
    X(X509_EXTENSION_free)                                                                                             \
    X(X509_NAME_ENTRY_get_data)                                                                                        \
    X(X509_NAME_add_entry_by_txt)                                                                                      \
    X(X509_NAME_cmp)                                                                                                   \
    X(X509_NAME_get_entry)                                                                                             \
    X(X509_NAME_get_index_by_NID)                                                                                      \
    X(X509_STORE_CTX_get_current_cert)                                                                                 \
    X(X509_STORE_CTX_get_error_depth)                                                                                  \
    X(X509_STORE_CTX_get_ex_data)                                                                                      \
    X(X509_STORE_CTX_set_error)                                                                                        \
    X(X509_STORE_load_file)                                                                                            \
    X(X509_VERIFY_PARAM_set1_ip_asc)                                                                                   \
    X(X509_VERIFY_PARAM_set_hostflags)                                                                                 \
    X(X509_add_ext)                                                                                                    \
    X(X509_check_host)                                                                                                 \
    X(X509_check_ip_asc)                                                                                               \
    X(X509_cmp_current_time)                                                                                           \
    X(X509_free)                                                                                                       \
    X(X509_get0_notAfter)                                                                                              \
    X(X509_get_issuer_name)                                                                                            \
    X(X509_get_subject_name)                                                                                           \
    X(X509_getm_notAfter)                                                                                              \
    X(X509_getm_notBefore)                                                                                             \
    X(X509_gmtime_adj)                                                                                                 \
    X(X509_new)                                                                                                        \
    X(X509_set_issuer_name)                                                                                            \
    X(X509_set_pubkey)                                                                                                 \
    X(X509_set_serialNumber)                                                                                           \
    X(X509_set_version)                                                                                                \
    X(X509_sign)                                                                                                       \
    X(X509_time_adj_ex)                                                                                                \
    X(X509_verify_cert_error_string)                                                                                   \
    X(BN_bin2bn)                                                                                                       \
    X(BN_bn2binpad)                                                                                                    \
    X(CRYPTO_memcmp)                                                                                                   \
    X(ECDSA_SIG_free)                                                                                                  \
    X(ECDSA_SIG_get0)                                                                                                  \
    X(ECDSA_SIG_new)                                                                                                   \
    X(ECDSA_SIG_set0)                                                                                                  \
    X(EVP_DigestSign)                                                                                                  \
    X(EVP_DigestSignInit)                                                                                              \
    X(EVP_DigestVerify)                                                                                                \
    X(EVP_DigestVerifyInit)                                                                                            \
    X(EVP_PKEY_CTX_set_rsa_padding)                                                                                    \
    X(EVP_PKEY_CTX_set_rsa_pss_saltlen)                                                                                \
    X(EVP_PKEY_eq)                                                                                                     \
    X(EVP_PKEY_get_base_id)                                                                                            \
    X(EVP_PKEY_get_bits)                                                                                               \
    X(EVP_PKEY_new_raw_private_key)                                                                                    \
    X(EVP_sha384)                                                                                                      \
    X(EVP_sha512)                                                                                                      \
    X(PEM_read_bio_PUBKEY)                                                                                             \
    X(PEM_read_bio_PrivateKey)                                                                                         \
    X(X509_get_pubkey)                                                                                                 \
    X(d2i_ECDSA_SIG)                                                                                                   \
    X(i2d_ECDSA_SIG)                                                                                                   \
    X(d2i_X509_CRL_bio)                                                                                                \
    X(X509_verify)                                                                                                     \
    X(X509_check_ca)                                                                                                   \
    X(X509_cmp_time)                                                                                                   \
    X(ASN1_TIME_compare)                                                                                               \
    X(X509_set1_notAfter)                                                                                              \
    X(ASN1_INTEGER_free)

struct openssl {
#define OPENSSL_MEMBER(name) __typeof__(name) *name;
    OPENSSL_SSL_FUNCTIONS(OPENSSL_MEMBER)
    OPENSSL_CRYPTO_FUNCTIONS(OPENSSL_MEMBER)
#undef OPENSSL_MEMBER
};

/* The table; loads the libraries at the first call, once in the process. NULL: they are missing or too old
 * (TENURE_EUNAVAILABLE, the text says which file or function). Any thread. */
const struct openssl *openssl_load(struct tenure_error *err);
/* Whether somebody has loaded it: what a test of "costs nothing" asks. Any thread. */
bool openssl_is_loaded(void);
/* The text of the newest error of this thread, "unknown error" if there is none; empties its queue. The table must be
 * loaded. */
const char *openssl_error(void);

#endif
