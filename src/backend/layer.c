/* Stands in until the layer backend has its first source file. */
typedef int tenure_backend_layer;
