/* Stands in until the layer lib has its first source file. */
typedef int tenure_lib_layer;
