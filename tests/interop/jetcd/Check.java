import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;

import io.etcd.jetcd.ByteSequence;
import io.etcd.jetcd.common.exception.EtcdException;
import io.grpc.StatusRuntimeException;

/** Expectations, waiting and TAP. */
final class Check {
    static final long PATIENCE_S = 30;

    interface Case {
        void run() throws Exception;
    }

    private static int number;
    private static boolean failed;

    private Check() {}

    static void plan(int cases) {
        System.out.println("1.." + cases);
    }

    static void that(String name, String server, Case body) {
        long begun = System.nanoTime();
        String verdict = "ok";
        try {
            body.run();
        } catch (Throwable broken) {
            verdict = "not ok";
            failed = true;
            StringBuilder text = new StringBuilder("# " + broken);
            for (StackTraceElement e : broken.getStackTrace()) {
                text.append("\n#   ").append(e);
            }
            System.out.println(text);
        }
        System.out.printf("%s %d - %s [%s]%n# %.1f s%n", verdict, ++number, name, server, (System.nanoTime() - begun) / 1e9);
    }

    static int exitCode() {
        return failed ? 1 : 0;
    }

    static void equal(Object got, Object wanted) {
        if (!wanted.equals(got)) {
            throw new AssertionError("got " + got + ", wanted " + wanted);
        }
    }

    static void isTrue(boolean holds, String what) {
        if (!holds) {
            throw new AssertionError("does not hold: " + what);
        }
    }

    static <T> T get(CompletableFuture<T> future) throws Exception {
        return future.get(PATIENCE_S, TimeUnit.SECONDS);
    }

    /** That a call is not answered now: who waits in a queue. */
    static void waits(CompletableFuture<?> future) throws Exception {
        try {
            throw new AssertionError("it was answered: " + future.get(200, TimeUnit.MILLISECONDS));
        } catch (TimeoutException right) {
            // as it should be
        }
    }

    /** By status code and text. */
    static void refused(CompletableFuture<?> future, String with) throws Exception {
        equal(refusal(future), with);
    }

    private static String refusal(CompletableFuture<?> future) throws Exception {
        try {
            return "answered: " + get(future);
        } catch (ExecutionException refused) {
            return text(refused.getCause());
        }
    }

    /** jetcd wraps what gRPC says in exceptions of its own. */
    private static String text(Throwable refused) {
        for (Throwable t = refused; t != null; t = t.getCause()) {
            if (t instanceof StatusRuntimeException e) {
                return e.getStatus().getCode() + " " + e.getStatus().getDescription();
            }
            if (t instanceof EtcdException e && e.getCause() == null) {
                return e.getErrorCode() + " " + e.getMessage();
            }
        }
        return refused.toString();
    }

    /** What a listener is given, to be waited for. */
    static final class Heard<T> {
        private final BlockingQueue<Object> queue = new LinkedBlockingQueue<>();

        void add(T item) {
            queue.add(item);
        }

        void fail(Throwable why) {
            queue.add(why);
        }

        /** Forgets what was heard so far. */
        void clear() {
            queue.clear();
        }

        private Object take() throws Exception {
            Object item = queue.poll(PATIENCE_S, TimeUnit.SECONDS);
            isTrue(item != null, "something is heard within " + PATIENCE_S + " s");
            return item;
        }

        @SuppressWarnings("unchecked")
        T next() throws Exception {
            Object item = take();
            if (item instanceof Throwable why) {
                throw new AssertionError("heard of " + why, why);
            }
            return (T) item;
        }

        Throwable error() throws Exception {
            Object item = take();
            return item instanceof Throwable why ? why : new AssertionError("heard " + item);
        }
    }

    static ByteSequence b(String text) {
        return ByteSequence.from(text, java.nio.charset.StandardCharsets.UTF_8);
    }
}
