import java.util.ArrayList;
import java.util.List;
import java.util.UUID;
import javax.jms.Connection;
import javax.jms.JMSException;
import javax.jms.Message;
import javax.jms.MessageConsumer;
import javax.jms.MessageProducer;
import javax.jms.Queue;
import javax.jms.Session;
import javax.jms.TextMessage;
import javax.jms.Topic;
import org.fusesource.stomp.jms.StompJmsConnectionFactory;

/**
 * What a program that knows only JMS sees of the broker, through ActiveMQ's JMS client for STOMP.
 *
 * java -cp 'DIRECTORY/*' Jms.java tcp://127.0.0.1:61613
 *
 * prints a line for each thing that it tries.
 */
public class Jms {
    private static final long PATIENCE = 20_000;
    private static final long HOUR = 3_600_000;
    private static String url;

    public static void main(String[] arguments) throws Exception {
        url = arguments[0];
        tell("priorities", priorities());
        tell("expiry", expiry());
        tell("selector", selector());
        tell("transaction", transaction());
        tell("durable", durable());
        System.out.flush();
        Runtime.getRuntime().halt(0); // its threads would keep the process
    }

    private static void tell(String what, List<String> heard) {
        System.out.println(what + " " + String.join(" ", heard));
    }

    private static Connection connection(String clientId) throws JMSException {
        StompJmsConnectionFactory factory = new StompJmsConnectionFactory();
        factory.setBrokerURI(url);
        Connection connection = factory.createConnection("guest", "guest");
        if (clientId != null) connection.setClientID(clientId);
        connection.start();
        return connection;
    }

    private static Session session(boolean isTransacted) throws JMSException {
        return connection(null).createSession(isTransacted, Session.AUTO_ACKNOWLEDGE);
    }

    private static String name() {
        return "jms." + UUID.randomUUID();
    }

    private static Message next(MessageConsumer consumer) throws JMSException {
        Message message = consumer.receive(PATIENCE);
        if (message == null) throw new JMSException("nothing came");
        return message;
    }

    private static String text(Message message) throws JMSException {
        return ((TextMessage) message).getText();
    }

    private static List<String> priorities() throws JMSException {
        Session session = session(false);
        Queue queue = session.createQueue(name());
        MessageProducer producer = session.createProducer(queue);
        for (int priority : new int[] {1, 9, 5}) {
            producer.send(session.createTextMessage("with-" + priority), Message.DEFAULT_DELIVERY_MODE, priority, 0);
        }
        MessageConsumer consumer = session.createConsumer(queue);
        return List.of(text(next(consumer)), text(next(consumer)), text(next(consumer)));
    }

    private static List<String> expiry() throws Exception {
        Session session = session(false);
        Queue queue = session.createQueue(name());
        MessageProducer producer = session.createProducer(queue);
        producer.send(session.createTextMessage("short"), Message.DEFAULT_DELIVERY_MODE, 4, 1);
        producer.send(session.createTextMessage("long"), Message.DEFAULT_DELIVERY_MODE, 4, HOUR);
        Thread.sleep(50); // for time to go by is all that there is to wait for
        return List.of(text(next(session.createConsumer(queue))));
    }

    private static List<String> selector() throws JMSException {
        Session session = session(false);
        Topic topic = session.createTopic(name());
        MessageConsumer consumer = session.createConsumer(topic, "price < 10 AND colour = 'red'");
        MessageProducer producer = session.createProducer(topic);
        for (int price : new int[] {50, 5}) {
            TextMessage message = session.createTextMessage("for-" + price);
            message.setIntProperty("price", price);
            message.setStringProperty("colour", "red");
            producer.send(message);
        }
        return List.of(text(next(consumer)));
    }

    private static List<String> transaction() throws JMSException {
        Session session = session(true);
        Queue queue = session.createQueue(name());
        MessageProducer producer = session.createProducer(queue);
        producer.send(session.createTextMessage("rolled-back"));
        session.rollback();
        producer.send(session.createTextMessage("committed"));
        session.commit();
        MessageConsumer consumer = session.createConsumer(queue);
        List<String> heard = new ArrayList<>();
        heard.add(text(next(consumer)));
        session.rollback();
        Message again = next(consumer);
        heard.add(text(again));
        heard.add(again.getJMSRedelivered() ? "redelivered" : "not-redelivered");
        session.commit();
        return heard;
    }

    /** Its client takes a durable subscription only of a broker that calls itself ActiveMQ. */
    private static List<String> durable() throws JMSException {
        String clientId = name(), topicName = name();
        Connection connection = connection(clientId);
        Session session = connection.createSession(false, Session.AUTO_ACKNOWLEDGE);
        session.createDurableSubscriber(session.createTopic(topicName), "stock");
        connection.close();
        Session other = session(false);
        MessageProducer producer = other.createProducer(other.createTopic(topicName));
        for (String text : List.of("one", "two")) producer.send(other.createTextMessage(text));
        session = connection(clientId).createSession(false, Session.AUTO_ACKNOWLEDGE);
        MessageConsumer consumer = session.createDurableSubscriber(session.createTopic(topicName), "stock");
        return List.of(text(next(consumer)), text(next(consumer)));
    }
}
