/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whose certificates are believed. The system's; or the bundle that CURL_CA_BUNDLE or SSL_CERT_FILE names and the
 * directory of SSL_CERT_DIR; and for one registry the CA that stands, as docker and podman have it, in
 * HOST[:PORT]/ca.crt under ~/.config/containers/certs.d, /etc/containers/certs.d or /etc/docker/certs.d.
 */
#ifndef IMAGE_HTTP_TRUST_H
#define IMAGE_HTTP_TRUST_H

/** Tells a libcurl handle (a CURL *) what to believe of the server of a URL. */
void http_trust_set(void *curl, const char *url);

#endif
