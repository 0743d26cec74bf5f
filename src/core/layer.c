/* Stands in until the layer core has its first source file. */
typedef int tenure_core_layer;
