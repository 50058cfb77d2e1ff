/*
 * login: what `docker login` left for a registry: config.json in $DOCKER_CONFIG or ~/.docker, with
 * the text itself ("auths") or the name of a program that knows it ("credHelpers", "credsStore").
 */
#ifndef OCI_LOGIN_H
#define OCI_LOGIN_H

/*
 * User and password for "Authorization: Basic", base64; owned by the caller. NULL where there are
 * none: a public image needs none, so a file that cannot be understood is no error, either. Then
 * *ret_helper is the NAME of a program docker-credential-NAME that has none, if one was asked;
 * owned by the caller.
 */
char *login_find(const char *registry, char **ret_helper);
/*
 * The same for pushing: first of DOCKERHUB_USERNAME and DOCKERHUB_TOKEN for docker.io,
 * OCI_REGISTRY_USERNAME and OCI_REGISTRY_PASSWORD for any other.
 */
char *login_find_to_push(const char *registry, char **ret_helper);

#endif
