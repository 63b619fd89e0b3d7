import io.netty.bootstrap.Bootstrap;
import io.netty.buffer.Unpooled;
import io.netty.channel.Channel;
import io.netty.channel.ChannelFuture;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInitializer;
import io.netty.channel.EventLoopGroup;
import io.netty.channel.SimpleChannelInboundHandler;
import io.netty.channel.nio.NioEventLoopGroup;
import io.netty.channel.socket.nio.NioSocketChannel;
import io.netty.handler.codec.http.HttpObject;
import io.netty.handler.codec.http.HttpResponse;
import io.netty.handler.codec.http.HttpResponseDecoder;
import io.netty.handler.codec.http.LastHttpContent;
import io.netty.handler.ssl.OpenSsl;
import io.netty.handler.ssl.SslContext;
import io.netty.handler.ssl.SslContextBuilder;
import io.netty.handler.ssl.SslProvider;
import java.io.File;
import java.nio.file.Files;
import java.nio.file.Paths;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.List;
import java.util.Queue;

/**
 * Makes calls by Netty over netty-tcnative: all connections at once, the calls of one after each other.
 *
 * usage: Client PORT JOB AUTHORITY (JOB: for each connection a line with the files of its requests)
 */
public final class Client {
  /** Sends a request when the answer to the one before is whole. */
  static final class Connection extends SimpleChannelInboundHandler<HttpObject> {
    private final Queue<String> requests;
    private volatile boolean isDone;

    Connection(Queue<String> requests) {
      this.requests = requests;
    }

    private void next(ChannelHandlerContext context) throws Exception {
      String request = requests.poll();
      if (request == null) {
        isDone = true;
        context.close();
        return;
      }
      context.writeAndFlush(Unpooled.wrappedBuffer(Files.readAllBytes(Paths.get(request))));
    }

    @Override
    public void channelActive(ChannelHandlerContext context) throws Exception {
      next(context);
    }

    @Override
    protected void channelRead0(ChannelHandlerContext context, HttpObject part) throws Exception {
      if (part instanceof HttpResponse && ((HttpResponse) part).status().code() != 200) {
        throw new IllegalStateException(((HttpResponse) part).status().toString());
      }
      if (part instanceof LastHttpContent) {
        next(context);
      }
    }

    @Override
    public void exceptionCaught(ChannelHandlerContext context, Throwable cause) {
      cause.printStackTrace();
      context.close();
    }
  }

  public static void main(String[] arguments) throws Exception {
    int port = Integer.parseInt(arguments[0]);
    OpenSsl.ensureAvailability();
    SslContext tls =
        SslContextBuilder.forClient()
            .sslProvider(SslProvider.OPENSSL)
            .trustManager(new File(arguments[2]))
            .build();
    EventLoopGroup group = new NioEventLoopGroup(4);
    List<Connection> connections = new ArrayList<>();
    List<Channel> channels = new ArrayList<>();
    for (String line : Files.readAllLines(Paths.get(arguments[1]))) {
      Connection connection = new Connection(new ArrayDeque<>(List.of(line.split("\t"))));
      connections.add(connection);
      ChannelFuture connected =
          new Bootstrap()
              .group(group)
              .channel(NioSocketChannel.class)
              .handler(
                  new ChannelInitializer<Channel>() {
                    @Override
                    protected void initChannel(Channel channel) {
                      channel
                          .pipeline()
                          .addLast(tls.newHandler(channel.alloc(), "localhost", port))
                          .addLast(new HttpResponseDecoder())
                          .addLast(connection);
                    }
                  })
              .connect("127.0.0.1", port);
      channels.add(connected.channel());
    }
    for (Channel channel : channels) {
      channel.closeFuture().sync();
    }
    group.shutdownGracefully(0, 1, java.util.concurrent.TimeUnit.SECONDS).sync();
    for (Connection connection : connections) {
      if (!connection.isDone) {
        System.exit(1);
      }
    }
  }
}
