/*
 * export: an installed environment as an OCI image in a layout: one layer of all that its file
 * system holds.
 */
#ifndef OCI_EXPORT_H
#define OCI_EXPORT_H

struct pyro_error;

/*
 * dir, an absolute path, is made, or has a layout to which the image is added under the tag, in the
 * place of one that had it. root_path is the environment's ext4 image.
 */
int export_layout(const char *root_path, const char *dir, const char *tag, struct pyro_error *err);

#endif
